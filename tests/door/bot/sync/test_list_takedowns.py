"""Entries of policy lists that ask to remove what somebody wrote (MSC4204): the list's operator lets them, or not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from moderation.model.facts import ActionTaken, CaseOpened, StatementGiven, Swept
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.door.bot.sync.test_policy_lists import LISTS, add, ban
from tests.people.client import Client
from tests.theatre.scene import Scene, Theatre, ask, told
from tests.theatre.served import like

CLUB = """
[[communities.named]]
name = "club"
rooms = ["*"]
"""


def takedown(entity: str, recommendation: str = "m.takedown") -> dict[str, Any]:
    return {"entity": entity, "recommendation": recommendation, "reason": "spam"}


async def watching(theatre: Theatre, trust: str, means: str = "redact", more: str = "") -> tuple[Scene, Client, RoomId]:
    """Return a scene whose bot watches an empty list with this `takedown`, its writer, and its room."""
    (writer,) = await theatre.people("writer")
    room = await writer.create_room("Bans", private=False)
    text = f'{LISTS.format(room=room, trust=trust, more="")}takedown = "{means}"\n{CLUB}{more}'
    scene = await theatre.scene(text, members=2)
    await scene.bot.until(lambda: scene.bot.rows("SELECT 1 FROM chosen_lists"), "the list to be watched")
    return scene, writer, room


async def banned(scene: Scene, who: Client) -> None:
    await scene.owner.wait_state(scene.room, "m.room.member", lambda c: c["membership"] == "ban", key=who.user)
    await scene.bot.idle()


async def test_an_applied_takedown_removes_what_the_person_wrote_where_the_ban_holds(
    theatre: Theatre, tmp_path: Path
) -> None:
    scene, writer, room = await watching(theatre, "apply")
    bot, (ann, ben) = scene.bot, scene.members
    second = await theatre.room(bot, scene.owner, [], [ann, ben])
    await theatre.room(bot, scene.owner, [], [ann])  # where she writes nothing
    said = [(scene.room, await ann.send_text(scene.room, f"buy {n}")) for n in range(2)]
    said.append((second, await ann.send_text(second, "buy here, too")))
    fine = await ben.send_text(scene.room, "good morning")
    await bot.idle()
    await add(writer, room, takedown(ann.user, "org.matrix.msc4204.takedown"))
    await banned(scene, ann)
    assert [await ben.is_redacted(*each) for each in (*said, (scene.room, fine))] == [True] * 3 + [False]
    [opened] = [fact for fact in bot.facts(CaseOpened) if fact.rule == "policy_list"]
    swept = bot.facts(Swept)
    assert {fact.room: (fact.n, fact.count, fact.by) for fact in swept} == {
        scene.room: (opened.n, 2, ""),
        second: (opened.n, 1, ""),
    }
    assert len(swept) == 2, "nothing is said of the room in which she wrote nothing"
    stated = json.loads(bot.facts(StatementGiven)[0].statement)["measures"]
    assert {each["kind"]: each.get("count", 0) for each in stated} == {"ban": 0, "sweep": 3}
    assert like("notice.swept-by-list", count="3").search((await told(ann, bot, like("notice.foot", n="1"))).body)
    await bot.stop()
    live = {name: bot.table(name) for name in (*TABLES, "list_matches")}
    assert {name for name, rows in (await rebuilt(bot, tmp_path, tuple(live))).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_a_takedown_removes_nothing_where_the_list_may_only_ban(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply", "ban")
    bot, (ann, ben) = scene.bot, scene.members
    said = await ann.send_text(scene.room, "hello")
    await bot.idle()
    await add(writer, room, takedown(ann.user))
    await banned(scene, ann)
    assert (bot.facts(Swept), await ben.is_redacted(scene.room, said)) == ([], False)


@pytest.mark.long
async def test_a_ban_removes_nothing(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply")
    await scene.members[0].send_text(scene.room, "hello")
    await scene.bot.idle()
    await add(writer, room, ban(scene.members[0].user))
    await banned(scene, scene.members[0])
    assert scene.bot.facts(Swept) == []


@pytest.mark.long
async def test_the_card_says_that_upholding_removes_the_messages_and_it_does(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "propose")
    bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
    said = await ann.send_text(scene.room, "buy this")
    await bot.idle()
    await add(writer, room, takedown(ann.user))
    card = await scene.card(manager, 1)
    assert re.search(like("card.brings.sweep", span="7 days"), card.body)
    assert not await ben.is_redacted(scene.room, said)
    await ask(manager, bot, scene.desk, "!uphold 1")
    await banned(scene, ann)
    assert await ben.is_redacted(scene.room, said)
    [fact] = bot.facts(Swept)
    assert (fact.n, fact.by, fact.count, fact.room) == (1, manager.user, 1, scene.room)


@pytest.mark.long
async def test_what_is_more_than_one_removal_takes_is_told_to_the_desk(theatre: Theatre) -> None:
    scene, writer, room = await watching(theatre, "apply", more="[sweep]\nat_most = 2\n")
    bot, (manager,), (ann, ben) = scene.bot, scene.managers, scene.members
    said = [await ann.send_text(scene.room, f"buy {n}") for n in range(3)]
    await bot.idle()
    await add(writer, room, takedown(ann.user))
    most = like("desk.swept-most", n="1", count="2")
    await scene.wait_desk(manager, lambda seen: most.search(seen.body) is not None, "what is left")
    assert [await ben.is_redacted(scene.room, each) for each in said] == [False, True, True]
    assert [fact.result for fact in bot.facts(ActionTaken) if fact.action == "sweep"] == ["done"]
