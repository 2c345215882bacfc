"""The tables of the bot, read by another process: which rooms ask, what was delivered, what is known of people.

Rules kept here:
- Nothing is written, and nothing is read on the event loop.
- What was read of people and rooms is good for some seconds after the bot has written; then it is read again. Before
  anybody is refused, they and the room are read again in any case (`judging.py`): what is old can only let through.
- The bot may be down, its tables locked, in the making or replaced: then asking raises, and the last list of rooms
  stands.
- Nobody waits longer than asked for. One server's questions delay another server's by a turn, and a second look before
  a refusal has places of its own. While half of the places hang, nobody is made to wait.

Left to others: which failure lets an event through (`judging.py`), what the tables hold (`storage/queries/`).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.view_cache import ViewCache
from bot.runtime.clock import Clock
from moderation.values.errors import AnswerableError
from moderation.values.ids import SAFE_INT, RoomId, UserId
from storage import queries
from storage.database.database import Database, commits_of, state_of
from storage.database.place import DatabasePlace
from storage.policy_server.spool import META_SEQ

from .fair_places import FairPlaces

log = structlog.get_logger()

READ_ERRORS = (SQLAlchemyError, AnswerableError, OSError)
_LOOK_EACH_S = 1.0
_GOOD_FOR_S = 5.0
_LOOK_WITHIN_S = 2.0
_AT_ONCE = 8  # reads; each connection has a thread
_AGAIN_AT_ONCE = 2  # before a refusal, besides
_MOST_HANGING = 4
_HANGS_S = 1.0  # a read that somebody gave up on, and that takes longer, hangs
NEVER = SAFE_INT  # later than any event can claim to be sent
_DEFAULT_VERSION = "1"  # of a room whose m.room.create names none

T = TypeVar("T")


class TablesSilent(AnswerableError):
    """Raised if the tables do not answer in time."""


@dataclass(frozen=True, slots=True)
class RoomThatAsks:
    """A room that asks the policy server, or will once it is joined.

    `since_ms`: when the owner decided that it is asked; `NEVER` if they do not want it any more.
    """

    room: RoomId
    since_ms: int
    version: str
    joined: bool = False  # as the bot sees it
    denied: frozenset[str] = frozenset()  # servers, or patterns of them, that the bot keeps out of it

    @property
    def wanted(self) -> bool:
        """True if its owner wants the policy server to be asked."""
        return self.since_ms != NEVER


class BotTables:
    """The tables, read-only."""

    def __init__(self, place: DatabasePlace, user: UserId, knowledge: ViewCache, clock: Clock) -> None:
        self.rooms: Mapping[RoomId, RoomThatAsks] = {}
        self.recorded = 0  # the number of the last refusal that the bot has recorded
        self.read_ms = 0  # when the tables last answered; 0: never
        self.looked = asyncio.Event()  # set once they were read, or could not be
        self._place = place
        self._user = user  # of the policy server
        self._knowledge = knowledge
        self._clock = clock
        self._opened: tuple[tuple[int, ...], Database] | None = None
        self._opening = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._places, self._places_again = FairPlaces(_AT_ONCE), FairPlaces(_AGAIN_AT_ONCE)
        self._given_up: dict[asyncio.Task[object], float] = {}  # reads under way, and when they began
        self._seen: object = None  # the state of the files at the last look
        self._changed = True  # since what is known of people and rooms was forgotten
        self._forgotten_s = 0.0

    async def run(self) -> None:
        """Look each second what has changed, until cancelled."""
        failing = False
        while True:
            try:
                await self.look()
                failing = False
            except READ_ERRORS as error:
                if not failing:
                    log.warning("policy_tables_unread", why=str(error).partition("\n")[0])
                failing = True
            self.looked.set()
            await asyncio.sleep(_LOOK_EACH_S)

    async def look(self) -> None:
        """Read what is needed of all rooms if the bot has written, and let the rest be read again before long.

        Raises one of `READ_ERRORS`.
        """
        async with self._looking:
            file, there = await asyncio.to_thread(commits_of, self._place)
            if self._opened is not None and self._opened[0] != file:
                await self.close()
            if there != self._seen or self._opened is None:
                self._changed = True
                self.rooms, self.recorded = await self.ask(self._of_all_rooms, _LOOK_WITHIN_S)
                self._seen = there
            self.read_ms = self._clock()

    async def ask(
        self,
        question: Callable[[AsyncConnection], Awaitable[T]],
        within_s: float,
        server: str = "",
        *,
        again: bool = False,
    ) -> T:
        """Return what `question` finds. Raises one of `READ_ERRORS`: `TablesSilent` if it takes longer than that.

        `server` has asked for it; `again` if it is the second look before a refusal.
        """
        if self._hang():
            raise TablesSilent("earlier questions still hang")
        began: list[float] = []
        places = self._places_again if again else self._places
        task = asyncio.ensure_future(self._asked(question, places.place(server), began))
        await asyncio.wait({task}, timeout=max(0.0, within_s))
        if task.done():
            return task.result()
        if began:  # SQLite's thread cannot be interrupted, and to close its connection would wait for it
            self._given_up[task] = began[0]
            task.add_done_callback(self._ended)
        else:
            task.cancel()
        raise TablesSilent("no answer in time")

    def are_known(self) -> bool:
        """Tell whether what was read of people and rooms is still good, and the tables answer."""
        return self._opened is not None and not self._hang() and not self._is_due()

    async def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened[1].close()

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._given_up.pop(task, None)
        with suppress(asyncio.CancelledError):
            task.exception()  # it was told to the one who asked: no answer in time

    def _hang(self) -> bool:
        """Tell whether so many reads hang that nobody is made to wait any more."""
        before_s = time.monotonic() - _HANGS_S
        return sum(began_s <= before_s for began_s in self._given_up.values()) >= _MOST_HANGING

    async def _asked(
        self,
        question: Callable[[AsyncConnection], Awaitable[T]],
        place: AbstractAsyncContextManager[None],
        began: list[float],
    ) -> T:
        async with place:
            began.append(time.monotonic())
            database = await self._database()
            async with database.read() as db:
                await self._refresh(db)
                return await question(db)

    async def _refresh(self, db: AsyncConnection) -> None:
        """Forget what is known of people and rooms, if the bot has written since and it is not done all the time."""
        if self._is_due():
            self._changed, self._forgotten_s = False, time.monotonic()
            await self._knowledge.begin(db)

    def _is_due(self) -> bool:
        return self._changed and time.monotonic() - self._forgotten_s >= _GOOD_FOR_S

    async def _database(self) -> Database:
        if self._opened is not None:
            return self._opened[1]
        async with self._opening:
            if self._opened is None:
                there = await asyncio.to_thread(state_of, self._place)
                self._opened = there, await Database.open(self._place, read_only=True)
                self._changed, self._forgotten_s = True, 0.0
            return self._opened[1]

    async def _of_all_rooms(self, db: AsyncConnection) -> tuple[dict[RoomId, RoomThatAsks], int]:
        since = await queries.policy_rooms(db)
        there = {room for room, what in (await queries.memberships_of(db, self._user)).items() if what == "join"}
        denied = await queries.patterns_denied(db, since.keys() | there)
        rooms = {
            room: RoomThatAsks(
                room, since.get(room, NEVER), await version_of(db, room), room in there, denied.get(room, frozenset())
            )
            for room in since.keys() | there
        }
        return rooms, int(await queries.get_meta(db, META_SEQ) or 0)


async def version_of(db: AsyncConnection, room: RoomId) -> str:
    """Return the version of a room that the bot serves."""
    created = await queries.created_event(db, room)
    content = created.get("content") if isinstance(created, dict) else None
    named = content.get("room_version", _DEFAULT_VERSION) if isinstance(content, dict) else ""
    return named if isinstance(named, str) else json.dumps(named)
