"""The rooms that ask the policy server: joining those whose owners want that, leaving those that no longer want it.

A homeserver asks a policy server only if a user of its name is joined in the room.

Rules kept here:
- A room that no longer wants to be asked for but still does is answered: everything is signed, so that nobody is
  silenced by a setting that could not be taken back.
- A room that was joined once and of which the tables say nothing is answered likewise: they may be lost, or unread.
- A room that named this server without its owner's wish is not answered, and not joined.
- A failed attempt is repeated, seldom; the reason is kept for the people who wait.
- A room is left only once it no longer names us, which is asked of its homeserver and not of the tables: these may be
  lost, and of a room that the bot has left they know nothing new. A room that was left is still answered.

Left to others: joining and leaving (`others.py`), saying why it failed (the bot).
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import structlog

from bot.runtime.clock import Clock
from moderation.values.errors import AnswerableError
from moderation.values.ids import RoomId
from storage.policy_server.store import PolicyStore

from .bot_tables import NEVER, READ_ERRORS, BotTables, RoomThatAsks

log = structlog.get_logger()

LOOK_EACH_S = 1.0
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 10_000, 600_000
_JOINED_FOR_MS = 60_000  # so long a room that was joined is not joined again, until the bot has seen it


class Membership(Protocol):
    """Our user's membership in rooms. Both raise `AnswerableError` or `OSError`."""

    async def join(self, room: RoomId) -> str:
        """Join a room; return its version."""

    async def leave(self, room: RoomId) -> bool:
        """Leave a room; False: it still names us, so we stay."""


class PolicyRooms:
    """All rooms that ask."""

    def __init__(self, tables: BotTables, store: PolicyStore, member: Membership, clock: Clock) -> None:
        self._tables = tables
        self._store = store
        self._member = member
        self._clock = clock
        self._joined: dict[RoomId, str] = {}  # once, and the version
        self._there: set[RoomId] = set()  # rooms that were joined and not left
        self._left: set[RoomId] = set()
        self._next_ms: dict[RoomId, tuple[int, int]] = {}  # when to try again, and how long was waited
        self.invited = asyncio.Event()

    async def begin(self) -> None:
        """Read which rooms were joined earlier. Raises `sqlite3.Error`."""
        kept = await self._store.rooms()
        self._joined = {room.room: room.version for room in kept if room.version}
        self._there = {room.room for room in kept if room.joined_ms}
        self._left = {room.room for room in kept if room.left}

    def asking(self, room: object) -> RoomThatAsks | None:
        """Return a room that asks, or has asked and may still do so; None for any other."""
        if not isinstance(room, str):
            return None
        found, version = self._tables.rooms.get(RoomId(room)), self._joined.get(RoomId(room))
        if found is None:
            return RoomThatAsks(RoomId(room), NEVER, version, joined=True) if version else None
        return found if found.version or version is None else replace(found, version=version)

    async def wanted(self, room: str) -> bool:
        """Tell whether an invitation to a room is to be accepted.

        The bot invites as soon as the owner has chosen it, so the tables are looked at first.
        """
        with suppress(*READ_ERRORS):
            await self._tables.look()
        found = self.asking(room)
        return found is not None and found.wanted

    def came(self, room: RoomId) -> None:
        """Try to join a room at once: somebody invited us."""
        self._next_ms.pop(room, None)
        self.invited.set()

    def figures(self) -> tuple[int, int, float]:
        """Return how many rooms ask, how many of them were joined, and the age of what is known of them (s)."""
        wanted = [room for room in self._tables.rooms.values() if room.wanted]
        age_s = (self._clock() - self._tables.read_ms) / 1000 if self._tables.read_ms else -1
        return len(wanted), sum(room.joined for room in wanted), round(age_s, 3)

    async def run(self) -> None:
        """Join what is to be joined and leave what is to be left, until cancelled."""
        while True:
            for room in tuple(self._tables.rooms.values()):
                if room.wanted and not room.joined and self._due(room.room):
                    await self._try(room)
            for left in self._to_leave():
                await self._leave(left)
            self.invited.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.invited.wait(), LOOK_EACH_S)

    def _due(self, room: RoomId) -> bool:
        return self._clock() >= self._next_ms.get(room, (0, 0))[0]

    def _later(self, room: RoomId) -> None:
        _, waited = self._next_ms.get(room, (0, _FIRST_WAIT_MS // 2))
        wait = min(2 * waited, _LONGEST_WAIT_MS)
        self._next_ms[room] = self._clock() + wait, wait

    def _to_leave(self) -> list[RoomId]:
        """Return rooms that our user is in and that no owner wants to ask us; none before the tables were read."""
        if not self._tables.read_ms:
            return []
        tables = self._tables.rooms
        unwanted = {room.room for room in tables.values() if room.joined and not room.wanted} - self._left
        unwanted |= {room for room in self._there if room not in tables or not tables[room].wanted}
        return sorted(room for room in unwanted if self._due(room))

    async def _leave(self, room: RoomId) -> None:
        try:
            gone = await self._member.leave(room)
        except (AnswerableError, OSError) as error:
            log.warning("policy_room_not_left", room=room, why=str(error)[:200])
            gone = False
        if not gone:
            self._later(room)
            return
        self._next_ms.pop(room, None)
        self._there.discard(room)
        self._left.add(room)
        log.info("policy_room_left", room=room)
        await self._store.room_left(room, self._clock())

    async def _try(self, room: RoomThatAsks) -> None:
        try:
            version = await self._member.join(room.room)
        except (AnswerableError, OSError) as error:
            self._later(room.room)
            log.warning("policy_room_not_joined", room=room.room, why=str(error)[:200])
            await self._store.room_tried(room.room, self._clock(), str(error))
        else:
            self._next_ms[room.room] = self._clock() + _JOINED_FOR_MS, _FIRST_WAIT_MS
            log.info("policy_room_joined", room=room.room)
            self._joined[room.room] = version
            self._there.add(room.room)
            self._left.discard(room.room)
            await self._store.room_joined(room.room, version, self._clock())
