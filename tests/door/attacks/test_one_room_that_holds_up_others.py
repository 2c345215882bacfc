"""A room full of messages that take long to judge or to remove, while a rule is broken in another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sync.backfill import Gaps
from moderation.values.ids import RoomId
from storage.state.backfill import Delivered
from tests.door.offline import offline
from tests.fakes.homeserver_rooms import Room, seed
from tests.theatre.garden import Garden, garden_in

DEAR = "\ufdfa" * 18_000  # each expands to eighteen letters
ROOM = RoomId("!garden:example.org")


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        yield garden


async def pond(garden: Garden) -> Room:
    """Create another room with the bot in it, idle."""
    world, owner = garden.server.world, garden.people["owner"]
    room = world.create(owner, {"name": "Pond", "room_version": "10"})
    seed(world, room, [garden.people["ben"]])
    levels = dict(room.content("m.room.power_levels") or {})
    world.add(room, owner, "m.room.power_levels", {**levels, "users": {owner: 100, garden.bot.user: 100}}, "")
    world.invite(room, owner, garden.bot.user)
    garden.server.tell()
    await garden.bot.until_condition(RoomId(room.id), "protected")
    await garden.bot.idle()
    return room


def say(garden: Garden, room: Room, name: str, body: str) -> str:
    event = garden.server.world.send(room, garden.people[name], "m.room.message", {"msgtype": "m.text", "body": body})
    garden.server.tell()
    return event.id


async def test_messages_of_other_rooms_are_judged_before_a_slow_heap_in_one(garden: Garden) -> None:
    other = await pond(garden)
    garden.server.hold()
    heap = [garden.say("ann", f"{n} {DEAR}") for n in range(12)]
    elsewhere = say(garden, other, "ben", "a purple elephant")
    garden.server.let_go()
    await garden.bot.has(*heap, elsewhere)
    seen = {str(part.get("ev")): record.index for record in garden.bot.records() for part in record.parts}
    assert seen[elsewhere] < seen[heap[-1]]
    assert [event for event in garden.bot.recorded(RoomId(garden.room.id)) if event in heap] == heap
    await garden.bot.idle()
    assert garden.server.world.by_id[elsewhere][1].gone
    await garden.bot.until(lambda: not garden.bot.rows("SELECT 1 FROM gaps"), "the room to be level again")


async def test_a_removal_in_another_room_does_not_wait_for_a_heap_in_one(garden: Garden) -> None:
    other = await pond(garden)
    garden.limit()
    elsewhere = say(garden, other, "ben", "a purple elephant")
    heap = [garden.say("ann", f"a purple elephant {n}") for n in range(25)]
    await garden.bot.has(elsewhere, *heap)
    assert {name for name, _ in await garden.allow(3)} == {"rooms/redact"}
    await garden.bot.until(lambda: garden.server.world.by_id[elsewhere][1].gone, "its removal")
    assert sum(bool(garden.server.world.by_id[event][1].gone) for event in heap) <= 3


async def test_a_slow_room_delays_no_deadline_unless_its_messages_are_missing(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        gaps = Gaps(bot.services(None), heard_ms=int, level=lambda: None)
    with gaps.opening({ROOM: Delivered()}, costly={ROOM}):
        assert (gaps.behind(ROOM), gaps.is_costly(ROOM), gaps.any()) == (True, True, False)
    with gaps.opening({ROOM: Delivered()}):
        assert (gaps.is_costly(ROOM), gaps.any()) == (False, True)
