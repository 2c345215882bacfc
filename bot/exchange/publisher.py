"""Publishes records of this shard's log that count in the others.

Rules kept here:
- It follows the log: a record is published once it is signed, and none is left out, whatever fails in between.
- The exchange itself shows how far the log is published. The tables note that nothing erased is published any more. So
  a start does not read again all that was published.
- What is erased here is taken out of the exchange as well. The order to erase it stays until all others have read it.
- Once a minute it notes up to which record all is published, so that others notice if it stops.
- It says once that the exchange is down, or that somebody else wrote there in this log's name, and tries again.

Left to others: what crosses (`moderation/shards/crossing.py`), the form of a message (`envelope.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.crossing_records import CrossingRecords
from bot.pipeline.pipeline import Pipeline
from moderation.model.facts import Fact, RecordsRestored
from moderation.model.reach import DEPLOYMENT
from moderation.shards.crossing import KINDS, LogPlace, Purged, crosses, learnt, needed
from moderation.shards.eras import NO_ERA
from moderation.values.errors import Invalid
from moderation.values.ids import RoomId
from moderation.values.notices import line
from storage import queries
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.projections import EXCHANGE_TIDY, set_meta
from storage.projections.shards import began_here
from storage.queries.shards import begun_elsewhere
from storage.record_mapping import fact_of_record

from .envelope import enclosed, size_of
from .port import Exchange, ExchangeChanged, ExchangeDown, Message
from .refusals import tell
from .tidying import tidied_up

log = structlog.get_logger()

SCANNED = "exchange_scanned"  # up to where the log was searched for what crosses
_RETRY_S = 10.0
_WAITING_S = 60.0  # between two looks whether others have read an order to erase, and two notes of what was told
_AT_ONCE = 100
_PAGE = 1_000  # messages of some 3 kB
_FAR = 10_000  # records after which it is worth noting how far the search has come


class Publisher:
    """Publishes records that the other shards do not know yet."""

    def __init__(
        self,
        exchange: Exchange,
        pipeline: Pipeline,
        journal: Journal,
        database: Database,
        shard: str,
        others: Sequence[str],
        crossing: CrossingRecords,
    ) -> None:
        """Set up; `others` are the names of the other shards."""
        self._exchange = exchange
        self._pipeline = pipeline
        self._journal = journal
        self._database = database
        self._shard = shard
        self._others = others
        self._crossing = crossing
        self._begun = False
        self._told = 0  # the record up to which the note says that all is published
        self._turn = asyncio.Lock()
        self._is_down = False
        self.is_changed = False  # something in the exchange under the name of this log is not of it
        self._looked = False  # whether the note of an earlier run was read
        self._waits: list[Message] = []  # erased here, and kept until all others have read them

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            self._crossing.event.clear()
            try:
                await self._try_to_tell()
                await self.tidy()
                self._is_down = False
            except ExchangeDown as error:
                if not self._is_down:
                    log.warning("exchange_down", why=str(error))
                self._is_down = True
            wait = _RETRY_S if self._is_down or self.is_changed else _WAITING_S
            try:
                await asyncio.wait_for(self._crossing.event.wait(), wait)
            except TimeoutError:
                continue

    async def tell(self) -> None:
        """Publish all that is recorded, and note that it was done. Raises `ExchangeDown` and `ExchangeChanged`."""
        size = await self._pipeline.journal.use(_size)
        await self.flush()
        await self._note_told(size)

    async def _note_told(self, upto: int) -> None:
        """Note that all records before `upto` are published."""
        if upto > self._told:
            await self._last()  # raises if somebody else wrote there, even if nothing was to be published
            await self._exchange.have_read(self._shard, self._journal.origin, self._era, upto - 1)
            self._told = upto

    async def _try_to_tell(self) -> None:
        """Publish all. Tell operators once if a message that somebody else wrote in this log's name prevents it."""
        try:
            await self.tell()
        except ExchangeChanged as error:
            if not self.is_changed:
                self.is_changed = True
                log.error("exchange_changed", index=error.index, records=self._journal.size)
                await self._pipeline.commit(actions=[tell(line("shards.changed", n=error.index))])
        else:
            self.is_changed = False

    async def _last(self) -> Message | None:
        """Return the last message of this log. Raises `ExchangeChanged` if this log cannot have published it."""
        last = await self._exchange.last(self._journal.origin)
        if last is not None and not await self._is_ours(last):
            raise ExchangeChanged(last.index)
        return last

    async def _is_ours(self, last: Message) -> bool:
        """Tell whether this log can have published a message last. No era of it begins after the present one."""
        if last.era != self._era:
            return self._era != NO_ERA and self._era not in await self._exchange.eras(self._journal.origin)
        try:
            return max(last.index + 1, size_of(last)) <= self._journal.size
        except Invalid:
            return False

    async def flush(self) -> int:
        """Publish all that is recorded. Return the number of messages. Raises `ExchangeDown`, `ExchangeChanged`."""
        async with self._turn:
            era, count = self._era, 0
            if not self._begun:
                await self._search(era)
            size = await self._pipeline.journal.use(_size)  # what is noted from there on may still fail
            while some := self._crossing.first(_AT_ONCE, size):
                last = await self._last()
                begun = await self._begun_here(some, era)
                messages = await self._pipeline.journal.use(partial(_enclosed, some, era, last, begun), signed=True)
                if messages:
                    await self._exchange.publish(messages)
                self._crossing.done(some)
                count += len(messages)
                if self._crossing.first(1, size):
                    await self._note_told(some[-1] + 1)
            return count

    async def _begun_here(self, indexes: Sequence[int], era: str) -> frozenset[int]:
        """Return the records that end something that crossed, if the record of its beginning is purged."""
        origin, found = self._journal.origin, set()
        ends = await self._pipeline.journal.use(partial(_without_beginning, indexes))
        async with self._database.read() as db:
            for index, fact in ends:
                end = learnt(fact, LogPlace(origin, index, 0, 0, "", era), Purged())
                if getattr(fact, "reach", DEPLOYMENT) == DEPLOYMENT and await began_here(db, end):
                    found.add(index)
                elif await begun_elsewhere(db, needed(fact)) is None:  # else `EndNamed` says it
                    log.warning("exchange_beginning_purged", index=index, refers=needed(fact))
        return frozenset(found)

    async def _search(self, era: str) -> None:
        """Search the log for records from before the start that are not published."""
        noted = (await self._database.fetch(queries.get_meta, SCANNED) or "0 -1").split(" ")
        last = await self._last()
        published = last.index if last is not None else -1
        # Messages that the exchange lost are found again in the log.
        scanned = int(noted[0]) if int(noted[1]) == published else published + 1
        found, stop = await asyncio.to_thread(_not_published, self._journal, last, era, scanned)
        if stop - scanned > _FAR and not found:
            await self._pipeline.commit(also=partial(set_meta, key=SCANNED, value=f"{stop} {published}"))
        self._crossing.add(found)
        self._begun = True

    async def tidy(self) -> None:
        """Take out of the exchange what was erased or purged here. Raises `ExchangeDown`.

        If nothing was erased since the last time, only the messages that wait for other shards are looked at.
        """
        async with self._turn:
            before = self._waits
            if self._crossing.erased and not await self._was_tidy():
                self._crossing.tidied()
                try:
                    await self._pipeline.journal.use(_size)  # an erasure that is recorded is done by then
                    self._waits = [each async for page in self._pages() for each in await self._tidied(page)]
                    await self._note_tidy()
                except BaseException:
                    self._crossing.not_tidied()
                    raise
            elif self._waits:
                self._waits = list(await self._tidied(self._waits))
                if self._waits != before:
                    await self._note_tidy()

    async def _was_tidy(self) -> bool:
        """Tell whether an earlier run has tidied all that is erased. If so, read the messages that wait for others."""
        if self._looked:
            return False
        self._looked = True
        text = await self._database.fetch(queries.get_meta, EXCHANGE_TIDY)
        noted = orjson.loads(text or "{}")
        if noted.get("era") != self._era:
            return False
        for era, index in noted["waits"]:
            self._waits += await self._exchange.after(self._journal.origin, era, index - 1, 1)
        self._crossing.tidied()
        return True

    async def _note_tidy(self) -> None:
        """Note that nothing is published that was erased, unless something was erased meanwhile."""
        waits = [(each.era, each.index) for each in self._waits]
        value = orjson.dumps({"era": self._era, "waits": waits}).decode()

        async def note(db: AsyncConnection) -> None:
            if not self._crossing.erased:
                await set_meta(db, EXCHANGE_TIDY, value)

        await self._pipeline.commit(also=note)

    @property
    def _era(self) -> str:
        return self._pipeline.processor.era or NO_ERA

    async def _pages(self) -> AsyncIterator[Sequence[Message]]:
        """Yield all messages of this log, `_PAGE` at a time."""
        origin = self._journal.origin
        for era in await self._exchange.eras(origin):
            index = -1
            while page := await self._exchange.after(origin, era, index, _PAGE):
                index = page[-1].index
                yield page

    async def _tidied(self, own: Sequence[Message]) -> Sequence[Message]:
        """Tidy some messages, and return those that others must read first."""
        read = await self._exchange.read_by(self._journal.origin)
        order = {era: number for number, era in enumerate(await self._exchange.eras(self._journal.origin))}
        places = [read.get(name, ("", -1)) for name in self._others]
        by_all = min(((order.get(era, -1), index) for era, index in places), default=(-1, -1))

        def is_read(message: Message) -> bool:
            return (order.get(message.era, -1), message.index) <= by_all

        tidied = await asyncio.to_thread(tidied_up, own, is_read, self._era, self._journal)
        if tidied.changed:
            await self._exchange.publish(tidied.changed)
        return tidied.waits


def _size(journal: Journal) -> int:
    """Return the number of records. As work on the journal, this runs once all earlier writes have ended."""
    return journal.size


def _not_published(journal: Journal, last: Message | None, era: str, start: int) -> tuple[list[int], int]:
    """Return the indexes from `start` on of records that may cross, and the index at which the search ended."""
    stop = journal.size
    if last is not None and last.era != era:  # the log was restored; the record that says so begins the new era
        restored = [record.index for record in journal.read() if record.kind == RecordsRestored.KIND]
        start = restored[-1] if restored else stop
    return [record.index for record in journal.read(start, stop) if record.kind in KINDS], stop


def _without_beginning(indexes: Sequence[int], journal: Journal) -> list[tuple[int, Fact]]:
    """Return the records that could cross and end what a purged record began."""
    read = ((index, _fact(journal, index)) for index in indexes if index < journal.size)
    ends = [(index, fact) for index, fact in read if fact is not None and crosses(fact, Purged())]
    return [(index, fact) for index, fact in ends if _about(journal, fact) is None]


def _enclosed(
    indexes: Sequence[int], era: str, last: Message | None, begun: Collection[int], journal: Journal
) -> list[Message]:
    """Return messages about the records that cross and come after `last`."""
    before = size_of(last) if last is not None and last.era == era else 0
    found: list[Message] = []
    for index in indexes:
        if index >= journal.size or (last is not None and last.era == era and index <= last.index):
            continue
        fact = _fact(journal, index)
        about = _about(journal, fact) if fact is not None else None
        if fact is not None and crosses(fact, Purged() if index in begun else about):
            message = enclosed(journal, era, index, needed(fact) if about is not None else -1, before)
            before = size_of(message)
            found.append(message)
    return found


def _about(journal: Journal, fact: Fact) -> Fact | None:
    return _fact(journal, needed(fact)) if needed(fact) >= 0 else None


def _fact(journal: Journal, index: int) -> Fact | None:
    """Return the fact recorded at an index; None if the record is purged, or holds no fact."""
    try:
        record = journal.get(index)
    except LookupError:
        return None
    return fact_of_record(record, lambda code: RoomId(code))
