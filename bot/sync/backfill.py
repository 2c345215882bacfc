"""Backfill: the bot reads what the homeserver left out, page by page, in order, next to the listener (decision 0026).

Client-server API v1.19, sections "Syncing" (a `limited` timeline) and "GET /rooms/{roomId}/messages".

Rules kept here:
- A room that is behind is taken from here alone until it is level again. So its journal is in order, and no other room
  waits.
- Short gaps are read at once. Of long ones the way back is noted first, page by page. Each page is then read and
  recorded in one turn with the note of it, so that a crash costs one page and memory holds only a few.
- What cannot be had is recorded in the journal where it is missing, and the rest is read.

Left to others: noticing a gap (`sync_loop.py`, `bot/effects/join_room.py`), storing its progress
(`storage/state/backfill.py`), recording (`bot/pipeline/pipeline.py`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive, receive_state
from bot.events.parse_fields import token_of
from bot.matrix.errors import Answered, HomeserverError, LoggedOut, NotFound, RateLimited, Unreachable
from bot.outbox.handler import BotPart, Services
from bot.pipeline.judging_costs import MOST_MS
from bot.runtime.works import end
from moderation.model.facts import NotSeen
from moderation.values.events import Json, Received
from moderation.values.ids import EventId, RoomId
from storage import queries
from storage.state import backfill
from storage.state.backfill import BackfillPage, Delivered, Gap

from .timeline import by_delivery, with_newer, with_older

log = structlog.get_logger()

PAGE = 100
SHORT = 5  # pages held in memory before any is recorded
MAX_PAGES = 20_000  # two million events of one room
OVERLAP = 20  # known events on the last page: with fewer, the page before it is read, too
AT_ONCE = 4  # rooms read at the same time
OTHERS_WAIT_S = 5.0  # how long a nearly level room may hold up the others
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 60.0
GIVE_UP_MS = 15 * 60_000  # how long one room may be unreadable while the homeserver answers
AWAY_MS = 120_000  # silent for longer, the homeserver counts as away


@dataclass(frozen=True, slots=True)
class _Read:
    """A page as it came: newest first, from the token `start` back to `stop`; None: nothing comes before."""

    start: str
    stop: str | None
    events: tuple[Received, ...]


class Gaps(BotPart):
    """The rooms that are behind, and the reading of what they miss."""

    def __init__(self, services: Services, *, heard_ms: Callable[[], int], level: Callable[[], None]) -> None:
        """Set up.

        `heard_ms`: when the homeserver last answered the listener; `level`: called when a room is no longer behind.
        """
        super().__init__(services)
        self.turn = asyncio.Lock()  # held while an answer of `/sync` is taken, and while a room catches up with it
        self.answer = asyncio.Lock()  # held from the first attempt to take an answer of `/sync` until it is taken
        self._opening: list[RoomId] = []  # rooms whose gaps are being written
        self._heard_ms = heard_ms
        self._level = level
        self._behind: dict[RoomId, _Tries] = {}
        self._costly: set[RoomId] = set()
        self._waiting: asyncio.Queue[RoomId] = asyncio.Queue()
        self._steps: defaultdict[RoomId, asyncio.Lock] = defaultdict(asyncio.Lock)  # each held while its room is read

    async def begin(self) -> None:
        """Read which rooms were behind at the last stop."""
        async with self._database.read() as db:
            for room in await backfill.everywhere(db):
                self._behind[room] = _Tries()
                self._waiting.put_nowait(room)

    def behind(self, room: RoomId) -> bool:
        """Tell whether older events of this room must be read before newer ones are taken."""
        return room in self._behind

    def is_costly(self, room: RoomId) -> bool:
        """Tell whether a room is behind only because judging what is said there takes long."""
        return room in self._costly

    def any(self) -> bool:
        """Tell whether any room but a direct one misses something, so that decisions of people may not have been read.

        Neither do rooms count that only take long. The people of both could stop every deadline with them.
        """
        return bool(self._behind.keys() - self._costly - self._pipeline.served.direct)

    @contextmanager
    def opening(
        self,
        rooms: Mapping[RoomId, Delivered],
        *,
        since: int = 0,
        costly: Collection[RoomId] = (),
    ) -> Iterator[Callable[[AsyncConnection], Awaitable[None]]]:
        """Mark rooms as behind, from the transaction in which the yielded function runs; read them when the block ends.

        `since`: when the homeserver was heard before; `costly`: those that miss nothing.
        """
        self._costly = (self._costly - rooms.keys()) | set(costly)
        fresh = [room for room in rooms if room not in self._behind]
        self._opening += rooms
        self._behind |= {room: _Tries() for room in fresh}  # before anybody can take newer events of them

        async def write(db: AsyncConnection) -> None:
            for room, delivered in rooms.items():
                await backfill.open_gap(db, room, delivered, since=since)

        try:
            yield write
        finally:
            for room in rooms:
                self._opening.remove(room)
                if room in fresh or room not in self._behind:  # an earlier gap of it was closed meanwhile
                    self._behind.setdefault(room, _Tries())
                    self._waiting.put_nowait(room)

    async def run(self) -> None:
        """Read what rooms miss, several rooms at once, until cancelled. Raises the error that ends it all."""
        workers = [asyncio.create_task(self._work()) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            await end(workers)

    async def _work(self) -> None:
        while True:
            room = await self._waiting.get()
            try:
                while not await self._next_step(room):
                    self._behind[room] = _Tries()
            except RateLimited as error:
                self._later(room, error.retry_after_ms / 1000)
            except Unreachable as error:
                await self._away(room, error)
            except LoggedOut:
                raise
            except Answered as error:
                await self._give_up(room, error.errcode or str(error.status))

    def _later(self, room: RoomId, pause_s: float) -> None:
        asyncio.get_running_loop().call_later(pause_s, self._waiting.put_nowait, room)

    async def _away(self, room: RoomId, error: Unreachable) -> None:
        """Try again later; give the room up if it stays unreadable while the homeserver answers the listener."""
        tries, now = self._behind.setdefault(room, _Tries()), self._clock()
        if not tries.since or now - self._heard_ms() > AWAY_MS:
            tries.since = now
        if now - tries.since > GIVE_UP_MS:
            await self._give_up(room, error.detail)
            return
        pause = min(FIRST_RETRY_S * 2 ** min(tries.count, 20), LAST_RETRY_S)
        tries.count += 1
        log.warning("gap_waits", room=room, why=str(error), again_in_s=pause)
        self._later(room, pause)

    async def _give_up(self, room: RoomId, why: str) -> None:
        """Leave out what comes next in this room, since it cannot be had; read the rest."""
        async with self._steps[room]:
            if (gap := await self._gap(room)) is not None:
                await self._leave_out(gap, why)
        if self.behind(room):
            self._behind[room] = _Tries()
            self._waiting.put_nowait(room)

    async def end(self, room: RoomId) -> None:
        """Record what was delivered of a room that the bot is not in any more, and leave out what it still misses."""
        async with self._steps[room]:
            async with self.turn:  # the answer that is being taken may tell of its removal
                gap = await self._gap(room)
            if gap is not None:
                await self._leave_out(replace(gap, last=None, told=()), "removed")

    async def _leave_out(self, gap: Gap, why: str) -> None:
        """Record what comes next as not seen, in its place; what was delivered is recorded if nothing else comes."""
        log.warning("gap_lost", room=gap.room, why=why)
        lost = NotSeen(room=gap.room, what="gap", count=1, detail=why)
        if gap.last is not None:
            await self._pipeline.commit((lost,), also=partial(backfill.leave_out, gap=gap))
            return
        async with self.turn:  # nothing newer is delivered meanwhile
            await self._pipeline.commit((lost,))
            told: list[Received] = []
            with suppress(HomeserverError):
                told = await self._told_now(gap)
            events = with_newer(told, await self._all_delivered(gap))
            await self._pipeline.take(events, also=partial(backfill.close_gap, room=gap.room), heard_ms=gap.since)
            self._is_level(gap.room)

    async def _all_delivered(self, gap: Gap) -> list[Received]:
        """Return all that came while the room was behind: it is here, though nothing before it can be had."""
        raw = await self._database.fetch(backfill.all_delivered, gap.room)
        now = self._clock()
        events = [receive(each, gap.room, now) for each in raw]
        ids, notice = [event.event for event in events], gap.until or self._pipeline.served.notice(gap.room)
        return events[ids.index(notice) + 1 :] if notice in ids else events

    def _is_level(self, room: RoomId) -> None:
        self._behind.pop(room, None)
        self._costly.discard(room)
        self._level()

    async def _gap(self, room: RoomId) -> Gap | None:
        return await self._database.fetch(backfill.gap_of, room)

    async def _next_step(self, room: RoomId) -> bool:
        async with self._steps[room]:
            return await self._step(room)

    async def _step(self, room: RoomId) -> bool:
        """Take one step towards being level. Return True once it is."""
        gap = await self._gap(room)
        if gap is None:
            if room not in self._opening:  # else this was noted for a gap that has ended since
                self._is_level(room)
            return True
        if gap.last is not None:
            await (self._read(gap, gap.last) if gap.bottom else self._go_back(gap, gap.last))
            return False
        return await self._look(gap)

    async def _look(self, gap: Gap) -> bool:
        """Read from the newest event back: close a short gap, note the way of a longer one."""
        delivered = await self._delivered(gap)  # before the pages: what is delivered later may stand above them
        pages, token = [], None
        for _ in range(SHORT):
            page = await self._page(gap, token)
            fresh, bottom = await self._above(gap, page)
            pages.append((page, fresh))
            if bottom:
                fresh = [event for _, some in reversed(pages) for event in reversed(some)]
                events = await self._with_missed(gap.room, delivered, [each for each, _ in pages], fresh)
                await self._pipeline.take(events, heard_ms=gap.since)
                return await self._catch_up(gap, await self._told_now(gap))
            token = page.stop
        rows = [BackfillPage(n, page.start, page.stop or "") for n, (page, _) in enumerate(pages)]
        await self._pipeline.commit(also=partial(backfill.note_passed, room=gap.room, pages=rows, bottom=False))
        return False

    async def _catch_up(self, gap: Gap, told: Sequence[Received]) -> bool:
        """Take what has come meanwhile, if it is little, while the listener takes nothing: then the room is level.

        `told` was asked before this page: where the page has it, its place there says what came before it.
        """
        async with self.turn:
            delivered = await self._delivered(gap)
            try:
                async with asyncio.timeout(OTHERS_WAIT_S):
                    page = await self._page(gap, None)
                    fresh, bottom = await self._above(Gap(gap.room, since=gap.since), page)
            except TimeoutError:
                raise Unreachable(f"no answer within {OTHERS_WAIT_S:g} s", request="messages") from None
            if not bottom:
                return False
            events = await self._with_missed(gap.room, delivered, [page], fresh[::-1])
            if await self._takes_long(events):
                return False
            also = partial(backfill.close_gap, room=gap.room)
            await self._pipeline.take(with_older(told, events), also=also, heard_ms=gap.since)
            self._is_level(gap.room)
        return True

    async def _delivered(self, gap: Gap) -> Sequence[EventId]:
        """Return which events came while the room was behind and are not recorded, in the order they came."""
        if gap.until is not None:  # the room was only just opened: what stands before the notice is not ours
            return ()
        return await self._database.fetch(backfill.delivered_unrecorded, gap.room)

    async def _with_missed(
        self, room: RoomId, delivered: Sequence[EventId], pages: Sequence[_Read], fresh: Sequence[Received]
    ) -> list[Received]:
        """Return the fresh events of the newest pages, oldest first, and what was delivered and is on none of them.

        That stands further back than the search went, on a branch that another server or a slow request began before
        known events, or on a page that cannot be had. It has the place among the others at which it was delivered.
        """
        there = {event.event for page in pages for event in page.events}
        missed = [event for event in delivered if event not in there]
        found = dict[EventId, Received]()
        async with self._database.read() as db:
            for first in range(0, len(missed), PAGE):
                raw = await backfill.delivered_events(db, missed[first : first + PAGE])
                found |= {event: receive(each, room, self._clock()) for event, each in raw.items()}
        return by_delivery(fresh, delivered, found)

    async def _takes_long(self, events: Sequence[Received]) -> bool:
        """Tell whether judging those of these events that are not known yet would keep the listener waiting."""
        known = await self._database.fetch(queries.known_events, [event.event for event in events if event.event])
        return self._pipeline.costs.expected(event for event in events if event.event not in known) > MOST_MS

    async def _go_back(self, gap: Gap, last: BackfillPage) -> None:
        """Note one page further on the way back; only its tokens are kept."""
        page = await self._page(gap, last.stop)
        _, bottom = await self._above(gap, page)
        row = BackfillPage(last.n + 1, page.start, "" if bottom else page.stop or "")
        if not bottom and row.n >= MAX_PAGES:
            await self._leave_out(gap, "too long")
            return
        await self._pipeline.commit(also=partial(backfill.note_passed, room=gap.room, pages=[row], bottom=bottom))

    async def _read(self, gap: Gap, row: BackfillPage) -> None:
        """Record the oldest page that was not read, in one turn with the note of it."""
        page = await self._page(gap, row.start)
        fresh = list(page.events)
        if not row.stop:
            fresh, _ = await self._above(gap, page)
        elif page.stop not in (row.stop, None):  # something was inserted since: take what stands below it, too
            fresh += (await self._above(gap, await self._page(gap, page.stop)))[0]
        also = partial(backfill.note_read, room=gap.room, page=row)
        await self._pipeline.take(fresh[::-1], also=also, heard_ms=gap.since)

    async def _page(self, gap: Gap, token: str | None) -> _Read:
        answer = await self._homeserver.messages(gap.room, from_token=token, direction="b", limit=PAGE)
        chunk, stop = answer.get("chunk"), token_of(answer.get("end"))
        if not isinstance(chunk, list):
            raise Unreachable("an answer without chunk", request="messages")
        start = token or token_of(answer.get("start"))
        if start is None or (stop == start and not chunk):
            raise Unreachable("an answer that leads nowhere", request="messages")
        return _Read(start, stop, await self._as_delivered(gap.room, chunk))

    async def _as_delivered(self, room: RoomId, chunk: Sequence[Json]) -> tuple[Received, ...]:
        """Return the events of a page; one that was redacted after its delivery is given as it was delivered."""
        now = self._clock()
        events = [receive(raw, room, now) for raw in chunk]
        before = await self._database.fetch(backfill.delivered_events, [event.event for event in events if event.event])
        return tuple([receive(before[e.event], room, now) if e.event in before else e for e in events])

    async def _above(self, gap: Gap, page: _Read) -> tuple[list[Received], bool]:
        """Return the events of a page above the known ones, newest first, and whether the known ones were reached.

        Events that came together, from several servers or people, may stand in any order. So known events end a page
        at the oldest place where one stands, and only what is older counts as known. Where few known ones stand on a
        page, the page before it is looked at in the same way.
        """
        known, notice = await self._known_places(gap, page)
        if not known or notice:
            return list(page.events[: known[-1]] if known else page.events), notice or page.stop is None
        if len(known) < OVERLAP and page.stop is not None:
            older = await self._page(gap, page.stop)
            further, _ = await self._known_places(gap, older)
            if further:
                return [*page.events, *older.events[: further[-1]]], True
        return list(page.events[: known[-1]]), True

    async def _known_places(self, gap: Gap, page: _Read) -> tuple[list[int], bool]:
        """Return where known events stand on a page; if the notice does, only where: with it the search ends."""
        ids = [event.event or EventId("") for event in page.events]
        notice = gap.until or self._pipeline.served.notice(gap.room)
        if notice in ids:
            return [ids.index(notice)], True
        if gap.until is not None:
            return [], False
        known = await self._database.fetch(queries.known_events, [each for each in ids if each])
        return [place for place, each in enumerate(ids) if each in known], False

    async def _told_now(self, gap: Gap) -> list[Received]:
        """Read the present state where no page had the event that told of it.

        Such state came to hold without an event in the timeline.
        """
        known = await self._database.fetch(queries.known_events, [each.event for each in gap.told])
        found = []
        for told in gap.told:
            if told.event in known:
                continue
            try:
                raw = await self._homeserver.whole_state_event(gap.room, told.type, told.key)
            except NotFound:
                continue
            event = receive_state(raw, gap.room, self._clock())
            if event.event is not None:
                found.append(event)
        return found


@dataclass(slots=True)
class _Tries:
    """Failed attempts to read a room since the last that succeeded."""

    count: int = 0
    since: int = 0
