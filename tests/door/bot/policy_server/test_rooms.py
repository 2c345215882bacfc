"""The rooms that ask: which are joined or left, when again, and which are answered though nothing is known of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bot.federation.errors import ServerUnreachable
from bot.policy_server.bot_tables import NEVER, RoomThatAsks
from bot.policy_server.rooms import PolicyRooms
from moderation.model.facts import PolicyServerSet
from moderation.values.ids import RoomId
from tests.door.bot.policy_server.asked import Asked, asked
from tests.door.offline import OLGA, ROOM

STRANGE = RoomId("!strange:example.org")


class Member:
    """Our user, as other servers let it in; `names_us`: whether the room still does."""

    def __init__(self, *, refused: Exception | None = None) -> None:
        self.refused = refused
        self.names_us = False
        self.joined: list[RoomId] = []
        self.left: list[RoomId] = []

    async def join(self, room: RoomId) -> str:
        self.joined.append(room)
        if self.refused is not None:
            raise self.refused
        return "12"

    async def leave(self, room: RoomId) -> bool:
        self.left.append(room)
        if self.refused is not None:
            raise self.refused
        return not self.names_us


@asynccontextmanager
async def joining(rooms: PolicyRooms) -> AsyncIterator[None]:
    task = asyncio.create_task(rooms.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not met():  # noqa: ASYNC110 - another thread writes
            await asyncio.sleep(0.01)


def wanting(server: Asked, *, joined: bool = False, since_ms: int = 1, version: str = "12") -> None:
    server.tables.rooms = {ROOM: RoomThatAsks(ROOM, since_ms, version, joined)}


async def test_a_wanted_room_is_joined_once_and_its_version_kept(tmp_path: Path) -> None:
    member = Member()
    async with asked(tmp_path) as server:
        wanting(server)
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        async with joining(rooms):
            await until(lambda: bool(server.spool.rooms()))
        (kept,) = server.spool.rooms()
        assert (kept.room, kept.version, kept.why) == (ROOM, "12", "")
        assert member.joined == [ROOM]
        assert rooms.figures()[:2] == (1, 0)


async def test_a_failure_is_kept_and_tried_again_later_or_when_somebody_invites(tmp_path: Path) -> None:
    member = Member(refused=ServerUnreachable("nobody there"))
    async with asked(tmp_path) as server:
        wanting(server)
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        async with joining(rooms):
            await until(lambda: [room.why for room in server.spool.rooms()] == ["nobody there"])
            rooms.came(ROOM)
            await until(lambda: len(member.joined) == 2)
            server.bot.time.ms += 3_600_000
            rooms.invited.set()
            await until(lambda: len(member.joined) == 3)


async def test_an_invitation_is_taken_that_comes_before_the_tables_were_looked_at_again(tmp_path: Path) -> None:
    member = Member()
    async with asked(tmp_path) as server:
        server.tables.rooms = {}
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        assert not await rooms.wanted(ROOM)
        await server.bot.pipeline.commit([PolicyServerSet(room=ROOM, step="on", by=OLGA)])
        assert await rooms.wanted(ROOM)
        with server.bot.state.away():
            assert await rooms.wanted(ROOM)  # by what was known


async def test_rooms_that_are_joined_or_not_wanted_are_not_joined(tmp_path: Path) -> None:
    member = Member()
    async with asked(tmp_path) as server:
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        for joined, since_ms in ((True, 1), (False, NEVER)):
            wanting(server, joined=joined, since_ms=since_ms)
            async with joining(rooms):
                rooms.invited.set()
                await until(lambda: not rooms.invited.is_set())
        assert (member.joined, member.left) == ([], [])
        assert not await rooms.wanted(ROOM)
        assert not await rooms.wanted(STRANGE)
        assert rooms.asking(STRANGE) is None


async def test_a_room_that_is_not_wanted_any_more_is_left_once_it_names_us_no_more(tmp_path: Path) -> None:
    member = Member()
    member.names_us = True
    async with asked(tmp_path) as server:
        await server.store.room_joined(ROOM, "12", 1)
        server.tables.read_ms = 1
        wanting(server, joined=True, since_ms=NEVER)
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        await rooms.begin()
        async with joining(rooms):
            await until(lambda: len(member.left) == 1)
            rooms.invited.set()
            await until(lambda: not rooms.invited.is_set())
            assert len(member.left) == 1  # it waits before it looks again
            assert not server.spool.rooms()[0].left
            member.names_us = False
            server.bot.time.ms += 3_600_000
            rooms.invited.set()
            await until(lambda: server.spool.rooms()[0].left)
        found = rooms.asking(ROOM)
        assert found is not None and not found.wanted  # those who ask all the same are answered


async def test_a_room_that_was_left_stays_left_though_the_bot_is_not_there_to_see_it(tmp_path: Path) -> None:
    member = Member()
    async with asked(tmp_path) as server:
        await server.store.room_joined(ROOM, "12", 1)
        await server.store.room_left(ROOM, 2)
        server.tables.read_ms = 1
        wanting(server, joined=True, since_ms=NEVER)
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        await rooms.begin()
        async with joining(rooms):
            rooms.invited.set()
            await until(lambda: not rooms.invited.is_set())
            assert member.left == []
            wanting(server, joined=False)
            rooms.invited.set()
            await until(lambda: bool(server.spool.rooms()[0].joined_ms))
            wanting(server, joined=True, since_ms=NEVER)
            server.bot.time.ms += 3_600_000
            rooms.invited.set()
            await until(lambda: member.left == [ROOM])


async def test_nothing_is_left_before_the_tables_were_read_nor_forgotten_if_it_fails(tmp_path: Path) -> None:
    member = Member(refused=ServerUnreachable("nobody there"))
    async with asked(tmp_path) as server:
        await server.store.room_joined(ROOM, "12", 1)
        server.tables.rooms = {}
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        await rooms.begin()
        async with joining(rooms):
            rooms.invited.set()
            await until(lambda: not rooms.invited.is_set())
            assert member.left == []
            server.tables.read_ms = 1
            rooms.invited.set()
            await until(lambda: member.left == [ROOM])
            member.refused = None
            server.bot.time.ms += 3_600_000
            rooms.invited.set()
            await until(lambda: server.spool.rooms()[0].left)
        assert rooms.asking(ROOM) is not None


async def test_a_room_that_was_joined_is_answered_though_the_tables_know_nothing_of_it(tmp_path: Path) -> None:
    member = Member()
    async with asked(tmp_path) as server:
        await server.store.room_joined(ROOM, "12", 1)
        rooms = PolicyRooms(server.tables, server.store, member, server.bot.time)
        await rooms.begin()
        server.tables.rooms = {}
        assert rooms.asking(ROOM) == RoomThatAsks(ROOM, NEVER, "12", joined=True)
        assert not await rooms.wanted(ROOM)
        wanting(server, version="")
        found = rooms.asking(ROOM)
        assert found is not None and found.version == "12"
