"""The receiver of what other shards say about people.

Rules kept here:
- Only logs of shards in the settings are read. Their key is that of the settings, or that of the first message whose
  proof holds; it is recorded, told to the operators, and holds from then on.
- A message that does not hold is refused and told once. Later ones are taken if it proves that the log goes on; else it
  counts as left out. It is looked at again until a later one is taken.
- After a message that shows two histories of a log, or that one was left out, nothing more is taken from that log.
- What is taken is recorded in this log, and applied from there.
- An order for all rooms whose end is there to be read, too (`look_ahead.py`), is recorded as over.

Left to others: the check (`checking.py`), what follows (`bot/pipeline/learnt.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from bot.pipeline.outcome import Outcome
from bot.pipeline.pipeline import Pipeline
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import HERE, Fact, Learnt, ShardPinned
from moderation.values.notices import Code, line
from storage import queries
from storage.database.database import Database
from storage.journal.transparency.signed_note import NoteVerifier
from storage.projections import set_meta
from storage.projections.eras import eras_of
from storage.projections.shards import is_learnt
from storage.queries.shards import known_log, pinned_key

from .checking import ENDS, KnownLog, NotProved, check, own_key
from .look_ahead import LookAhead, following
from .port import Exchange, ExchangeDown, Message

log = structlog.get_logger()

PLACE = "exchange_place "  # with the name of a log: up to where it was read, whether or not anything was learnt
LOOK_EVERY_S = 30.0  # if nothing wakes it
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class OtherShard:
    """Another shard of the deployment; `vkey` is the key of its log, if the settings say it."""

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
    ) -> None:
        """Set up; `origin` is the name of this shard's log."""
        self._exchange = exchange
        self._pipeline = pipeline
        self._database = database
        self._shard = shard
        self._origin = origin
        self._others = others
        self._known: dict[str, KnownLog] = {}
        self._told: set[tuple[str, str, int, str]] = set()
        self._ahead = LookAhead(exchange)
        self._is_down = False

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.look()
            await self._exchange.woken(LOOK_EVERY_S)

    async def look(self) -> int:
        """Read what is new of every log. Returns how much was learnt. While the exchange is down it says so once."""
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
        began, cursor, count, held = known, (known.era, known.position), 0, known
        while messages := await following(self._exchange, origin, cursor, _AT_ONCE):
            cursor = (messages[-1].era, messages[-1].index)
            taken = await self._take(messages, known, held, verifier)
            known, held, verifier, count = taken.known, taken.held, taken.verifier, count + taken.count
            self._known[origin] = held
            if taken.is_over:
                break
        if held != began:
            await self._exchange.have_read(self._shard, origin, held.era, held.position)
        return count

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
        is_over, before = False, held
        for message in messages:
            try:
                key = verifier or own_key(message)
                got, known = check(message, key, known)
            except NotProved as refused:
                told += self._refused(message, refused)
                known = refused.known or known
                if is_over := refused.code in ENDS:
                    break
                continue
            held = known
            if verifier is None:
                verifier = key
                facts.append(ShardPinned(origin=message.origin, vkey=key.text))
                told.append(_tell("pinned", message.origin, vkey=Code(key.text)))
            if got is not None:
                facts.append(got if got.of != self._origin else replace(got, of=HERE))
                if got.what == "restored":
                    told.append(_tell("restored", message.origin))
        if facts or told or held != before:
            origin, place = messages[0].origin, _text_of(held)
            fresh = await self._as_learnt(await self._not_learnt(facts))
            noted = Outcome(actions=tuple(told), also=partial(set_meta, key=PLACE + origin, value=place))
            await self._pipeline.commit_all([*(Outcome((fact,)) for fact in fresh), noted])
        return _Taken(known, held, verifier, len(facts), is_over)

    async def _as_learnt(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Return the facts, with a mark on each order whose end is there to be read, too."""
        if not any(isinstance(fact, Learnt) and fact.what == "ordered" for fact in facts):
            return facts
        for origin in self._others:
            await self._ahead.go_on(origin, *await self._load(origin))
        return [await self._marked(fact) if isinstance(fact, Learnt) else fact for fact in facts]

    async def _marked(self, fact: Learnt) -> Learnt:
        if fact.what != "ordered":
            return fact
        async with self._database.read() as db:
            eras = await eras_of(db, fact.origin)
        return replace(fact, over=1) if self._ahead.is_recalled(fact, eras) else fact

    async def _not_learnt(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        """Return the facts without what was learnt before, such as an entry that was confirmed once more."""
        fresh: dict[object, Fact] = {}
        async with self._database.read() as db:
            for fact in facts:
                if not isinstance(fact, Learnt):
                    fresh[fact] = fact
                elif not await is_learnt(db, fact):
                    fresh.setdefault((fact.era, fact.index), fact)
        return list(fresh.values())

    def _refused(self, message: Message, refused: NotProved) -> Sequence[Action]:
        """Tell, once, that a message is refused."""
        about = (message.origin, message.era, message.index, refused.code)
        if about in self._told:
            return ()
        self._told.add(about)
        log.error("exchange_refused", origin=message.origin, index=message.index, why=refused.code)
        return (_tell(f"refused-{refused.code}", message.origin, n=message.index),)


@dataclass(frozen=True, slots=True)
class _Taken:
    known: KnownLog
    held: KnownLog  # as of the last message that holds: from there on everything is read again
    verifier: NoteVerifier | None
    count: int
    is_over: bool


def _text_of(known: KnownLog) -> str:
    return f"{known.position} {known.size} {known.root.hex() or '-'} {known.era}"


def _place_of(text: str | None) -> KnownLog | None:
    """Return what `_text_of` wrote."""
    if text is None:
        return None
    position, size, root, era = text.split(" ")
    return KnownLog(int(position), int(size), bytes.fromhex(root) if root != "-" else b"", era)


def _tell(what: str, origin: str, **fields: Code | int) -> TellAbove:
    return TellAbove(room=NO_ROOM, lines=(line(f"shards.{what}", origin=Code(origin), **fields),))
