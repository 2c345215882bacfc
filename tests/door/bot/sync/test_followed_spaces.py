"""A space lists the rooms of a community: the bot follows the list, and says and records nothing else about it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.config.config import parse_config
from bot.sync import spaces
from moderation.model.actions.base import NOTICE
from moderation.model.facts import RoomListed, SanctionStarted
from moderation.values.ids import RoomId
from tests.door.bot.effects.test_demotion import RULES as DEMOTING
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.people.client import Client, Seen
from tests.theatre.scene import Theatre, ask, told
from tests.theatre.served import HEAD, ServedBot, like

CLUB = '\n[communities]\n[[communities.named]]\nname = "club"\nspace = "{space}"\n'
HERE = {"via": ["localhost"]}


async def make_space(owner: Client, **more: Any) -> RoomId:
    return await owner.create_room("Club", creation_content={"type": "m.space"}, **more)


async def until_community(bot: ServedBot, room: str, name: str) -> None:
    query = "SELECT 1 FROM rooms WHERE room = ? AND community = ?"
    await bot.until(lambda: bot.rows(query, room, name), f"{room} to be in {name}")


async def until_level(who: Client, room: str, user: Client, level: int | None) -> None:
    """Wait until somebody has this level in a room; None: no entry."""
    await who.wait_state(room, "m.room.power_levels", lambda content: content["users"].get(user.user) == level)


async def test_decisions_count_in_all_rooms_that_a_space_lists(theatre: Theatre, tmp_path: Path) -> None:
    owner, manager, ann = await theatre.people("owner", "manager", "ann")
    space = await make_space(owner)
    bot = await theatre.bot(DEMOTING + CLUB.format(space=space))
    here, there = rooms = [await theatre.room(bot, owner, [manager, ann]) for _ in range(2)]
    desk = await theatre.enter_desk(bot, here, owner, manager, ann)
    await owner.set_state(space, "m.space.child", HERE, here)
    await owner.invite(space, bot.user)
    await until_community(bot, here, "club")
    assert bot.condition(space) == "followed"
    await owner.set_state(space, "m.space.child", HERE, there)
    await until_community(bot, there, "club")
    said = await owner.send_text(space, "a purple elephant")

    listed = [(fact.what, fact.child, fact.by) for fact in bot.facts(RoomListed)]
    assert listed == [("listed", here, owner.user), ("listed", there, owner.user)]
    await ann.send_text(here, "a volcano")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE card != ''"), "the card of the case")
    assert like("decided.upheld").search(await ask(manager, bot, desk, "!uphold 1"))
    await asyncio.gather(*(until_level(owner, room, ann, None) for room in rooms))
    (demotion,) = [fact for fact in bot.facts(SanctionStarted) if fact.kind == "demote"]
    assert (demotion.room, demotion.reach) == (here, "club")

    await owner.set_state(space, "m.space.child", {}, there)
    await until_level(owner, there, ann, 50)
    await until_community(bot, there, bot.code(there))
    await bot.idle(up_to=NOTICE)  # for some minutes it is watched whether the two rooms still have the same managers
    assert ann.user not in (await owner.power_levels(here))["users"]
    assert said not in bot.recorded()
    assert bot.rows("SELECT 1 FROM rooms WHERE purpose = 'desk' AND served = ?", bot.code(space)) == []
    mine = [event["type"] for event in await owner.messages(space) if event["sender"] == bot.user]
    assert mine == ["m.room.member"]
    await bot.stop()
    tables = (*TABLES, "space_rooms")
    live = {name: bot.table(name) for name in tables}
    assert len(live["space_rooms"]) == 1
    assert {name for name, rows in (await rebuilt(bot, tmp_path, tables)).items() if rows != live[name]} == set()


@pytest.mark.long
async def test_changes_of_a_space_during_downtime_are_recorded(theatre: Theatre) -> None:
    (owner,) = await theatre.people("owner")
    space = await make_space(owner, private=False)
    bot = await theatre.bot(CLUB.format(space=space))
    await bot.until_condition(space, "followed")  # it enters a public one without an invitation
    room = await theatre.room(bot, owner)
    await bot.stop()
    await owner.set_state(space, "m.space.child", HERE, room)
    bot.start()
    await until_community(bot, room, "club")
    assert [(fact.what, fact.child) for fact in bot.facts(RoomListed)] == [("listed", room)]
    await bot.stop()
    bot.config = parse_config(bot.config.file, HEAD.format(url=theatre.url, user=bot.user, bot=""), {})
    bot.start()
    await bot.until_condition(space, "left")
    assert (await owner.members(space))[bot.user] == "leave"
    assert bot.rows("SELECT community = code FROM rooms WHERE room = ?", room) == [(1,)]


async def test_a_room_that_is_no_space_is_not_entered_for_one(theatre: Theatre) -> None:
    (owner,) = await theatre.people("owner")
    room = await owner.create_room("Garden")
    bot = await theatre.bot(CLUB.format(space=room))
    await owner.invite(room, bot.user)
    await owner.wait_state(room, "m.room.member", lambda content: content["membership"] == "leave", key=bot.user)
    assert bot.condition(room) is None
    assert [event["type"] for event in await owner.messages(room) if event["sender"] == bot.user] == [
        "m.room.member",
        "m.room.member",
    ]


@pytest.mark.long
async def test_a_bot_removed_from_a_space_keeps_the_list_and_tells_operators_once(theatre: Theatre) -> None:
    owner, operator = await theatre.people("owner", "operator")
    space = await make_space(owner)
    bot = await theatre.bot(CLUB.format(space=space), bot=f'operators = ["{operator.user}"]')
    room = await theatre.room(bot, owner)
    await owner.set_state(space, "m.space.child", HERE, room)
    await owner.invite(space, bot.user)
    await until_community(bot, room, "club")
    await owner.kick(space, bot.user)
    word = await told(operator, bot, like("space.out", space=space))
    await bot.restart()
    await bot.until_condition(space, "left")
    await owner.invite(space, bot.user)
    await bot.until_condition(space, "followed")
    await bot.idle()
    assert bot.rows("SELECT community FROM rooms WHERE room = ?", room) == [("club",)]
    again = [seen for seen in operator.seen if seen.id != word.id and like("space.out").search(seen.body)]
    assert again == []
    assert [fact.what for fact in bot.facts(RoomListed)] == ["listed"]


@pytest.mark.long
async def test_a_desk_is_told_of_listed_rooms_in_which_the_bot_is_not(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces, "SETTLE_MS", 0)
    owner, manager = await theatre.people("owner", "manager")
    space, inner = await make_space(owner), await make_space(owner, private=False)
    bot = await theatre.bot(CLUB.format(space=space) + 'adopt = "ask"\n')
    here = await theatre.room(bot, owner, [manager])
    desk = await theatre.enter_desk(bot, here, owner, manager)
    await owner.set_state(space, "m.space.child", HERE, here)
    await owner.invite(space, bot.user)
    await until_community(bot, here, "club")
    await bot.idle()
    assert not any(like("missing.rooms").search(seen.body) for seen in manager.seen)
    there, secret = (
        await owner.create_room("Kitchen [x](https://x.org)", private=False),
        await owner.create_room("Vault"),
    )
    for room in (there, secret, inner):
        await owner.set_state(space, "m.space.child", HERE, room)

    def lists(*rooms: str) -> Callable[[Seen], bool]:
        return lambda seen: bool(like("missing.rooms").search(seen.body)) and all(each in seen.body for each in rooms)

    told = await manager.wait_event(desk, lists(there, secret, inner, "Kitchen"), what="the rooms")
    assert "Vault" not in told.body
    assert told.body.index(inner) > like("missing.spaces").search(told.body).start()  # type: ignore[union-attr]
    assert 'href="https://x.org"' not in told.content["formatted_body"]
    await owner.invite(there, bot.user)
    await bot.until_condition(there, "observing")
    assert like("desk.done.rooms").search(await ask(manager, bot, desk, "!desk rooms"))
    await manager.wait_event(desk, lambda seen: lists(secret)(seen) and there not in seen.body, what="the rest")


@pytest.mark.long
async def test_rooms_of_a_community_are_named_to_nobody_unless_the_operator_says_so(theatre: Theatre) -> None:
    (owner,) = await theatre.people("owner")
    space = await make_space(owner)
    bot = await theatre.bot(CLUB.format(space=space))
    here = await theatre.room(bot, owner)
    desk = await theatre.enter_desk(bot, here, owner)
    for room in (here, await owner.create_room("Kitchen", private=False)):
        await owner.set_state(space, "m.space.child", HERE, room)
    await owner.invite(space, bot.user)
    await until_community(bot, here, "club")
    assert like("error.desk.no-space").search(await ask(owner, bot, desk, "!desk rooms"))
    await bot.idle()
    assert not any(like("missing.rooms").search(seen.body) for seen in owner.seen)


async def test_what_holds_in_a_community_holds_in_a_room_while_its_space_lists_it(theatre: Theatre) -> None:
    owner, ann = await theatre.people("owner", "ann")
    space = await make_space(owner)
    rule = (
        '\n[[rules]]\nname = "tea"\nkind = "terms"\nterms = ["tea"]\nrooms = ["club"]\n[rules.text]\nen = "No tea."\n'
    )
    gate = '[[verification.rooms]]\nrooms = ["club"]\nwrite = 2\nbelow = "gate"\n'
    bot = await theatre.bot(CLUB.format(space=space) + gate + rule)
    room = await theatre.room(bot, owner, members=[ann])
    before = await owner.state(room, "m.room.join_rules")
    assert before is not None
    first = await ann.send_text(room, "tea")
    await owner.invite(space, bot.user)
    await bot.until_condition(space, "followed")
    await owner.set_state(space, "m.space.child", HERE, room)
    await owner.wait_state(room, "m.room.join_rules", lambda rules: rules["join_rule"] == "knock")
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE purpose = 'lobby' AND condition != 'left'"), "a lobby")
    second = await ann.send_text(room, "more tea")
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases"), "a case")
    await owner.set_state(space, "m.space.child", {}, room)
    await owner.wait_state(room, "m.room.join_rules", lambda rules: rules == before)
    await bot.until(lambda: bot.rows("SELECT 1 FROM rooms WHERE purpose = 'lobby' AND condition = 'left'"), "no lobby")
    third = await ann.send_text(room, "tea again")
    await bot.has(third)
    await bot.idle()
    assert [await owner.is_redacted(room, each) for each in (first, second, third)] == [False, True, False]
