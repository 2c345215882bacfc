"""A manager who dismisses a case without a reason is asked for it, and answers by one tap."""

from pathlib import Path

import pytest

from bot.config.config import parse_config
from bot.config.errors import ConfigError
from moderation.model.facts import CaseDecided, QuestionAsked
from moderation.values.ids import EventId, UserId
from tests.door.offline import ANNA, CONFIG, DESK, MARK, MINA, ROOM, RULES, Offline, offline
from tests.theatre.scene import Theatre
from tests.theatre.served import like, phrase

OWN = RULES + '[cases]\nreasons = [{ en = "It was a joke.", zh = "只是玩笑。" }, { en = "We talked about it." }]\n'


async def test_a_reason_is_chosen_by_a_tap_and_told_like_one_that_was_written(theatre: Theatre) -> None:
    scene = await theatre.scene(managers=2)
    bot, room, (mark, mina), (ann,) = scene.bot, scene.room, scene.managers, scene.members
    said = await ann.send_text(room, "forbidden 7")
    await mina.react(room, said, "🚩")
    await scene.card(mark, 1)
    await mark.send_text(scene.desk, "!dismiss 1")
    asked = await scene.wait_desk(
        mark, lambda s: like("question.reason", n="1").search(s.body) is not None, "a question"
    )
    assert asked.body.splitlines()[1:] == [
        f"{number}\ufe0f\u20e3 {phrase(f'dismissal.{key}')}"
        for number, key in enumerate(("no-rule", "settled", "handled", "quoted"), 1)
    ]
    await bot.idle()
    offered = [e["content"]["m.relates_to"] for e in await mark.messages(scene.desk, 200) if e["type"] == "m.reaction"]
    assert [each["key"] for each in offered if each["event_id"] == asked.id] == [
        f"{n}\ufe0f\u20e3" for n in range(1, 5)
    ]
    assert bot.facts(CaseDecided) == []
    await bot.restart()
    await mina.react(scene.desk, asked.id, "2\u20e3")  # another manager, with a client that leaves out the selector
    await bot.until(lambda: bot.facts(CaseDecided), "the decision")
    assert [(f.n, f.what, f.by, f.reason) for f in bot.facts(CaseDecided)] == [
        (1, "dismissed", mina.user, phrase("dismissal.settled"))
    ]
    await mark.react(scene.desk, asked.id, "1\ufe0f\u20e3")  # too late
    refused = like("error.case.already.dismissed", n="1")
    await scene.wait_desk(mark, lambda s: refused.search(s.body) is not None, "a refusal")
    assert len(bot.facts(CaseDecided)) == 1


async def ask(bot: Offline, who: UserId, command: str) -> list[str]:
    """Give a command in the desk, send the question it brings, and return its lines."""
    await bot.say(who, command, DESK)
    rows = await bot.rows(
        "SELECT json_extract(value, '$.fields.reason') FROM outbox, json_each(json_extract(action, '$.lines'))"
        " WHERE action LIKE '%\"ask-desk\"%'"
    )
    asked = QuestionAsked(room=ROOM, n=1, what="reason", made=EventId("$question"))
    await bot.pipeline.commit((asked,))
    return [reason for (reason,) in rows if reason]


async def press(bot: Offline, who: UserId, key: str) -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$question", "key": key}
    await bot.event(who, "m.reaction", {"m.relates_to": relates}, room=DESK)


async def test_the_operator_chooses_the_reasons_and_each_is_in_the_language_of_the_room(tmp_path: Path) -> None:
    async with offline(tmp_path, OWN) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MARK, "!lang zh room", DESK)
        assert await ask(bot, MARK, "!dismiss 1") == ["只是玩笑。", "We talked about it."]
        await press(bot, MARK, "3\ufe0f\u20e3")  # there are only two
        await press(bot, MARK, "✅")
        assert bot.facts(CaseDecided) == []
        await press(bot, MARK, "1\ufe0f\u20e3")
        assert [f.reason for f in bot.facts(CaseDecided)] == ["只是玩笑。"]


async def test_nobody_answers_who_may_not_decide(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(MINA, "forbidden")
        await ask(bot, MARK, "!dismiss 1")
        await press(bot, MINA, "1\ufe0f\u20e3")  # it is about her
        await bot.levels(MARK, {MARK: 0})
        await press(bot, ANNA, "1\ufe0f\u20e3")
        assert bot.facts(CaseDecided) == []


async def test_who_could_not_decide_is_asked_nothing_and_other_places_want_words(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(MARK, "forbidden")
        await bot.say(MARK, "!dismiss 1", DESK)
        await bot.say(MINA, "!dismiss 1")
        keys = await bot.rows("SELECT json_extract(action, '$.lines[0].key') FROM outbox WHERE action LIKE '%\"say\"%'")
        assert [key for (key,) in keys] == ["error.case.own", "error.missing.dismissal"]
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%ask-desk%'") == []


@pytest.mark.parametrize("reasons", ["[{}]", "[" + ", ".join(['{ en = "x" }'] * 10) + "]"])
def test_reasons_must_say_something_and_be_no_more_than_nine(tmp_path: Path, reasons: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(tmp_path / "config.toml", f"{CONFIG}[cases]\nreasons = {reasons}\n", {})
