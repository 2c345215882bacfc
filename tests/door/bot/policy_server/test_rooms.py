"""The rooms that ask: which are joined, when again, and which are answered though nothing is known of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bot.federation.errors import ServerUnreachable
from bot.policy_server.bot_tables import NEVER, RoomThatAsks
from bot.policy_server.rooms import PolicyRooms
from moderation.model.facts import PolicyServerSet
from moderation.values.ids import RoomId
from storage.database import FILE
from tests.door.bot.policy_server.asked import Asked, asked
from tests.door.offline import OLGA, ROOM

STRANGE = RoomId("!strange:example.org")


@asynccontextmanager
async def joining(rooms: PolicyRooms) -> AsyncIterator[None]:
    task = asyncio.create_task(rooms.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not met():  # noqa: ASYNC110 - another thread writes
            await asyncio.sleep(0.01)


def wanting(server: Asked, *, joined: bool = False, since_ms: int = 1, version: str = "12") -> None:
    server.tables.rooms = {ROOM: RoomThatAsks(ROOM, since_ms, version, joined)}


async def test_a_wanted_room_is_joined_once_and_its_version_kept(tmp_path: Path) -> None:
    tried: list[RoomId] = []

    async def join(room: RoomId) -> str:
        tried.append(room)
        return "12"

    async with asked(tmp_path) as server:
        wanting(server)
        rooms = PolicyRooms(server.tables, server.store, join, server.bot.time)
        async with joining(rooms):
            await until(lambda: bool(server.spool.rooms()))
        (kept,) = server.spool.rooms()
        assert (kept.room, kept.version, kept.why) == (ROOM, "12", "")
        assert tried == [ROOM]
        assert rooms.figures()[:2] == (1, 0)


async def test_a_failure_is_kept_and_tried_again_later_or_when_somebody_invites(tmp_path: Path) -> None:
    tried: list[RoomId] = []

    async def join(room: RoomId) -> str:
        tried.append(room)
        raise ServerUnreachable("nobody there")

    async with asked(tmp_path) as server:
        wanting(server)
        rooms = PolicyRooms(server.tables, server.store, join, server.bot.time)
        async with joining(rooms):
            await until(lambda: [room.why for room in server.spool.rooms()] == ["nobody there"])
            rooms.came(ROOM)
            await until(lambda: len(tried) == 2)
            server.bot.time.ms += 3_600_000
            rooms.invited.set()
            await until(lambda: len(tried) == 3)


async def test_an_invitation_is_taken_that_comes_before_the_tables_were_looked_at_again(tmp_path: Path) -> None:
    async def join(_room: RoomId) -> str:
        return "12"

    async with asked(tmp_path) as server:
        server.tables.rooms = {}
        rooms = PolicyRooms(server.tables, server.store, join, server.bot.time)
        assert not await rooms.wanted(ROOM)
        await server.bot.pipeline.commit([PolicyServerSet(room=ROOM, step="on", by=OLGA)])
        assert await rooms.wanted(ROOM)
        path = server.bot.config.data_dir / FILE
        path.rename(path.with_name("away"))
        assert await rooms.wanted(ROOM)  # by what was known
        path.with_name("away").rename(path)


async def test_rooms_that_are_joined_or_not_wanted_are_left_alone(tmp_path: Path) -> None:
    async def join(_room: RoomId) -> str:
        raise AssertionError("not wanted")

    async with asked(tmp_path) as server:
        rooms = PolicyRooms(server.tables, server.store, join, server.bot.time)
        for joined, since_ms in ((True, 1), (False, NEVER)):
            wanting(server, joined=joined, since_ms=since_ms)
            async with joining(rooms):
                await until(lambda: not rooms.invited.is_set())
        assert not await rooms.wanted(ROOM)
        assert not await rooms.wanted(STRANGE)
        assert rooms.asking(STRANGE) is None


async def test_a_room_that_was_joined_is_answered_though_the_tables_know_nothing_of_it(tmp_path: Path) -> None:
    async def join(_room: RoomId) -> str:
        return "12"

    async with asked(tmp_path) as server:
        await server.store.room_joined(ROOM, "12", 1)
        rooms = PolicyRooms(server.tables, server.store, join, server.bot.time)
        await rooms.begin()
        server.tables.rooms = {}
        assert rooms.asking(ROOM) == RoomThatAsks(ROOM, NEVER, "12", joined=True)
        assert not await rooms.wanted(ROOM)
        wanting(server, version="")
        found = rooms.asking(ROOM)
        assert found is not None and found.version == "12"
