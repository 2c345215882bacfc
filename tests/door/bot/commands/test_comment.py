"""Comments of the person concerned on a case that is not decided yet."""

from pathlib import Path

import pytest

from moderation.cases.comments import MOST, MOST_A_DAY
from moderation.model.facts import CaseCommented
from tests.door.offline import ANNA, MARK, offline
from tests.theatre.scene import Theatre, ask, direct_room, told
from tests.theatre.served import like

HOUR = 3_600_000
HIDES = """
[[rules]]
name = "hides"
kind = "terms"
class = "serious"
decide = "manager"
interim = "redact"
terms = ["frobnicator"]
"""


async def test_a_comment_reaches_the_card_before_the_decision_and_nobody_is_flooded(theatre: Theatre) -> None:
    scene = await theatre.scene(HIDES, members=2)
    bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
    await ann.send_text(scene.room, "a frobnicator")
    card = await scene.card(manager, 1)
    await told(ann, bot, like("notice.comment", n="1"))
    alone = await direct_room(ann, bot)
    assert like("done.comment", n="1").search(await ask(ann, bot, alone, "!comment 1 I was quoting @room <b>it</b>"))
    said = await manager.wait_event(
        scene.desk, lambda seen: like("desk.commented", n="1").search(seen.body) is not None
    )
    assert said.content["m.relates_to"]["event_id"] == card.id
    assert said.content["m.mentions"] == {}
    edit = await manager.wait_event(
        scene.desk,
        lambda seen: like("card.comment", words="I was quoting @room <b>it</b>").search(seen.body) is not None,
    )
    assert "quoting @room &lt;b&gt;it&lt;/b&gt;" in edit.content["m.new_content"]["formatted_body"]
    for _ in range(MOST - 1):
        await ask(ann, bot, alone, "!comment 1 and more")
    assert like("error.comment.enough", n="1").search(await ask(ann, bot, alone, "!comment 1 and more"))
    assert len(bot.facts(CaseCommented)) == MOST
    assert like("error.case.none", n="1").search(await ask(ben, bot, scene.room, "!comment 1 she is right"))
    assert (await ask(manager, bot, scene.desk, "!case 1")).count("I was quoting") == 1
    await manager.react(scene.desk, card.id, "✅")
    await told(ann, bot, like("notice.message.upheld", n="1"))
    assert like("error.comment.decided", n="1").search(await ask(ann, bot, alone, "!comment 1 but"))


@pytest.mark.parametrize("content", ["full", "metadata"])
async def test_a_case_and_a_day_take_few_comments_also_where_no_words_are_kept(content: str, tmp_path: Path) -> None:
    other = HIDES.replace("hides", "hides-too").replace("frobnicator", "gizmo")
    async with offline(tmp_path, f'{HIDES}{other}[records]\ncontent = "{content}"\n') as bot:
        for n in range(1, 6):
            await bot.say(ANNA, "a frobnicator")
            for _ in range(MOST + 1):
                await bot.say(ANNA, f"!comment {n} I was quoting")
            assert len(bot.facts(CaseCommented)) == min(n * MOST, MOST_A_DAY)
            await bot.say(MARK, f"!dismiss {n} a quotation")
            bot.time.ms += HOUR
        bot.time.ms += 24 * HOUR
        await bot.say(ANNA, "a gizmo")
        await bot.say(ANNA, "!comment 6 I was quoting")
        assert len(bot.facts(CaseCommented)) == MOST_A_DAY + 1
