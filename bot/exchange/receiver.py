"""Reads and learns what other shards publish about people.

Rules kept here:
- Only logs of shards in the settings are read. The key of a log is in the settings, or is that of its first message
  whose proof holds. That key is recorded, told to the operators, and holds from then on.
- A message that does not hold is refused and told once. It is looked at again until a later one is taken. Later ones
  are taken if it proves that the log continues; otherwise it counts as left out.
- After a message that shows two histories of a log, or after a missing one, nothing more is taken from that log.
- Only so many messages of a log are taken in one turn and in one hour (`allowance.py`). Operators are told in one line
  of a log that publishes more.
- What is taken is recorded in this log, and applied from there.
- An order for all rooms is recorded as over if its end is published, too (`look_ahead.py`).

Left to others: the check (`checking.py`), what follows (`bot/pipeline/learnt.py`).
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from bot.pipeline.outcome import Outcome
from bot.pipeline.pipeline import Pipeline
from moderation.model.actions.base import Action
from moderation.model.facts import HERE, Fact, Learnt
from moderation.values.notices import Code, line
from storage import queries
from storage.database.database import Database
from storage.journal.transparency.signed_note import NoteVerifier
from storage.projections import set_meta
from storage.projections.eras import eras_of
from storage.projections.shards import is_learnt
from storage.queries.shards import known_log, pinned_key

from .allowance import MOST_A_TURN, MOST_AN_HOUR, Allowance
from .checking import ENDS, KnownLog, NotProved, check, own_key
from .look_ahead import Cursor, LookAhead, following
from .pinning import pin
from .port import Exchange, ExchangeDown, Message
from .refusals import Refusals, tell

log = structlog.get_logger()

PLACE = "exchange_place "  # with the name of a log: up to where it was read, whether or not anything was learnt
LOOK_EVERY_S = 30.0  # if nothing wakes it
_AT_ONCE = 50
_PAUSE_S = 0.1  # between two looks, however often others wake it


@dataclass(frozen=True, slots=True)
class OtherShard:
    """Another shard of the deployment. `vkey` is the key of its log, if the settings have it."""

    name: str
    vkey: str | None = None


class Receiver:
    """Reads the logs of the other shards, by their origins."""

    def __init__(
        self,
        exchange: Exchange,
        pipeline: Pipeline,
        database: Database,
        shard: str,
        origin: str,
        others: Mapping[str, OtherShard],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up; `origin` is the name of this shard's log, `now_s` a clock that never goes back."""
        self._exchange = exchange
        self._pipeline = pipeline
        self._database = database
        self._shard = shard
        self._origin = origin
        self._others = others
        self._known: dict[str, KnownLog] = {}
        self._noted: dict[str, Cursor] = {}  # up to where each log is noted as read since this start
        self._reading: dict[str, _ReadUpTo] = {}  # of logs that a turn did not read to their end
        self._allowance = Allowance(now_s)
        self._refusals = Refusals(now_s)
        self._ahead = LookAhead(exchange)
        self._is_down = False
        self.stopped: set[str] = set()  # logs of which nothing more can be taken until they are mended

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.look()
            if self._is_down or not self._reading.keys() - self.held_back:
                await self._exchange.woken(LOOK_EVERY_S)
            await asyncio.sleep(_PAUSE_S)

    @property
    def held_back(self) -> Collection[str]:
        """The logs that published so much that the rest is read in a later hour."""
        return self._allowance.spent()

    async def look(self) -> int:
        """Read new messages of every log, at most `MOST_A_TURN` of each. Return the number of facts learnt.

        If the exchange is down, log it once.
        """
        learnt = 0
        try:
            for origin in self._others:
                learnt += await self._read(origin)
            self._is_down = False
        except ExchangeDown as error:
            if not self._is_down:
                log.warning("exchange_down", why=str(error))
            self._is_down = True
        return learnt

    async def _read(self, origin: str) -> int:
        known, verifier = await self._load(origin)
        began, count, left = known, 0, MOST_A_TURN
        at = self._reading.pop(origin, None) or _ReadUpTo(known, (known.era, known.position))
        while most := min(left, _AT_ONCE, self._allowance.left(origin)):
            messages = await following(self._exchange, origin, at.cursor, most)
            if not messages:
                break
            left -= len(messages)
            taken = await self._take(messages, at.known, self._known.get(origin, began), verifier)
            at, verifier, count = _ReadUpTo(taken.known, _cursor(messages)), taken.verifier, count + taken.count
            self._known[origin] = taken.held
            self._ahead.passed(origin, taken.checked)
            await self._note_taken(origin, taken.checked)
            if taken.is_over:
                self.stopped.add(origin)
                break
            self.stopped.discard(origin)
        else:
            self._reading[origin] = at
        held = self._known.get(origin, began)
        place = (held.era, held.position)
        if held.size and self._noted.get(origin) != place:
            await self._exchange.have_read(self._shard, origin, *place)
            self._noted[origin] = place
        return count

    async def _note_taken(self, origin: str, count: int) -> None:
        if self._allowance.take(origin, count):
            log.warning("exchange_flood", origin=origin, messages=MOST_AN_HOUR)
            await self._pipeline.commit(actions=[tell(line("shards.flood", origin=Code(origin), n=MOST_AN_HOUR))])

    async def _load(self, origin: str) -> tuple[KnownLog, NoteVerifier | None]:
        async with self._database.read() as db:
            row, pinned = await known_log(db, origin), await pinned_key(db, origin)
            place = _place_of(await queries.get_meta(db, PLACE + origin))
        vkey = self._others[origin].vkey or pinned
        known = self._known.get(origin)
        if known is None:
            known = KnownLog(row.position, row.size, bytes.fromhex(row.root), row.era) if row else KnownLog()
            known = place if place is not None and place.size > known.size else known
        return known, NoteVerifier.parse(vkey) if vkey else None

    async def _take(
        self, messages: Sequence[Message], known: KnownLog, held: KnownLog, verifier: NoteVerifier | None
    ) -> "_Taken":
        facts: list[Fact] = []
        told: list[Action] = []
        refusals: list[tuple[Message, NotProved]] = []
        is_over, before, pinned, checked = False, held, False, 0
        for message in messages:
            again = self._refusals.before(message, verifier, known)
            checked += again is None
            try:
                if again is not None:
                    raise again
                key = verifier or own_key(message)
                got, now_known = check(message, key, known)
                if verifier is None and not await pin(self._pipeline, self._database, key):
                    raise NotProved("signature")  # another key was recorded meanwhile
            except NotProved as refused:
                if again is None:
                    self._refusals.remember(message, verifier, known, refused)
                refusals.append((message, refused))
                known = refused.known or known
                if is_over := refused.code in ENDS:
                    break
                continue
            held = known = now_known
            pinned, verifier = pinned or verifier is None, key
            if got is not None:
                facts.append(got if got.of != self._origin else replace(got, of=HERE))
                if got.what == "restored":
                    told.append(tell(line("shards.restored", origin=Code(message.origin))))
        fresh = await self._as_learnt(await self._not_learnt(facts)) if facts else ()
        for message, why in refusals:  # now, since they are not told again if the exchange fails before
            told += self._refusals.note(message, why)
        if facts or told or held != before:
            origin, place = messages[0].origin, _text_of(held)
            noted = Outcome(actions=tuple(told), also=partial(set_meta, key=PLACE + origin, value=place))
            await self._pipeline.commit_all([*(Outcome((fact,)) for fact in fresh), noted])
        return _Taken(known, held, verifier, len(facts) + pinned, checked, is_over)

    async def _as_learnt(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Return the facts, with a mark on each order whose end is published, too."""
        if not any(isinstance(fact, Learnt) and fact.what == "ordered" for fact in facts):
            return facts
        for origin in self._others:
            await self._ahead.go_on(origin, *await self._load(origin))
        return [await self._marked(fact) if isinstance(fact, Learnt) else fact for fact in facts]

    async def _marked(self, fact: Learnt) -> Learnt:
        if fact.what != "ordered":
            return fact
        eras = await self._database.fetch(eras_of, fact.origin)
        return replace(fact, over=1) if self._ahead.is_recalled(fact, eras) else fact

    async def _not_learnt(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Return the facts that were not learnt before. An entry that is confirmed again was."""
        fresh: dict[object, Fact] = {}
        async with self._database.read() as db:
            for fact in facts:
                if not isinstance(fact, Learnt):
                    fresh[fact] = fact
                elif not await is_learnt(db, fact):
                    fresh.setdefault((fact.era, fact.index), fact)
        return list(fresh.values())


@dataclass(frozen=True, slots=True)
class _ReadUpTo:
    """The place up to which a log was read, whether or not the last message held."""

    known: KnownLog
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class _Taken:
    known: KnownLog
    held: KnownLog  # as of the last message that holds: from there on everything is read again
    verifier: NoteVerifier | None
    count: int
    checked: int  # messages that were checked now: not those that were refused before, nor those after a stop
    is_over: bool


def _text_of(known: KnownLog) -> str:
    return f"{known.position} {known.size} {known.root.hex() or '-'} {known.era}"


def _place_of(text: str | None) -> KnownLog | None:
    """Read what `_text_of` wrote; None for None."""
    if text is None:
        return None
    position, size, root, era = text.split(" ")
    return KnownLog(int(position), int(size), bytes.fromhex(root) if root != "-" else b"", era)


def _cursor(messages: Sequence[Message]) -> Cursor:
    return messages[-1].era, messages[-1].index
