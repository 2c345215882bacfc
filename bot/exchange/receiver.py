"""The receiver of what other shards say about people.

Rules kept here:
- Only logs of shards in the settings are read. Their key is that of the settings, or that of the first message whose
  proof holds; it is recorded, told to the operators, and holds from then on.
- A message that does not hold is refused and told once. Later ones are taken if it proves that the log goes on; else it
  counts as left out. It is looked at again until a later one is taken.
- After a message that shows two histories of a log, or that one was left out, nothing more is taken from that log.
- What is taken is recorded in this log, and applied from there.
- Before an order for all rooms is taken, the ends of orders among all that is there to be read are looked for: what was
  ordered and recalled long ago is not carried out by a shard that reads it late.

Left to others: the check (`checking.py`), what follows (`bot/pipeline/learnt.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from bot.pipeline.outcome import Outcome
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.unit_of_work import OrderPlace
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import HERE, Fact, Learnt, ShardPinned
from moderation.values.errors import Invalid
from moderation.values.notices import Code, line
from storage import queries
from storage.database.database import Database
from storage.journal.transparency.signed_note import NoteVerifier
from storage.projections import set_meta
from storage.projections.shards import is_learnt
from storage.queries.shards import known_log, pinned_key

from .checking import ENDS, KnownLog, NotProved, check
from .envelope import MessageProof
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
        self._recalled: frozenset[OrderPlace] | None = None  # in this reading, once it was looked for
        self._is_down = False

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.look()
            await self._exchange.woken(LOOK_EVERY_S)

    async def look(self) -> int:
        """Read what is new of every log. Returns how much was learnt. While the exchange is down it says so once."""
        learnt, self._recalled = 0, None
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
        while messages := await self._after(origin, cursor):
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

    async def _after(self, origin: str, cursor: tuple[str, int]) -> Sequence[Message]:
        """Return what comes next: of the same era, else of the next one."""
        era, index = cursor
        eras = list(await self._exchange.eras(origin))
        if era in eras:
            if messages := await self._exchange.after(origin, era, index, _AT_ONCE):
                return messages
            later = eras[eras.index(era) + 1 :]
        else:
            later = eras
        return await self._exchange.after(origin, later[0], -1, _AT_ONCE) if later else ()

    async def _take(
        self, messages: Sequence[Message], known: KnownLog, held: KnownLog, verifier: NoteVerifier | None
    ) -> "_Taken":
        facts: list[Fact] = []
        told: list[Action] = []
        is_over, before = False, held
        for message in messages:
            try:
                key = verifier or _own_key(message)
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
            fresh = await self._not_learnt(facts)
            ordered = any(isinstance(fact, Learnt) and fact.what == "ordered" for fact in fresh)
            recalled = await self._recalled_ahead() if ordered else frozenset()
            noted = Outcome(actions=tuple(told), also=partial(set_meta, key=PLACE + origin, value=place))
            await self._pipeline.commit_all([*(Outcome((fact,), recalled=recalled) for fact in fresh), noted])
        return _Taken(known, held, verifier, len(facts), is_over)

    async def _recalled_ahead(self) -> frozenset[OrderPlace]:
        """Return the orders that are recalled in what is there to be read of all logs, as far as it holds."""
        if self._recalled is None:
            found = [await self._recalled_in(origin) for origin in self._others]
            self._recalled = frozenset[OrderPlace]().union(*found)
        return self._recalled

    async def _recalled_in(self, origin: str) -> set[OrderPlace]:
        found: set[OrderPlace] = set()
        known, verifier = await self._load(origin)
        cursor = (known.era, known.position)
        while messages := await self._after(origin, cursor):
            cursor = (messages[-1].era, messages[-1].index)
            for message in messages:
                try:
                    key = verifier or _own_key(message)
                    got, known = check(message, key, known)
                except NotProved as refused:
                    if refused.code in ENDS:
                        return found
                    known = refused.known or known
                    continue
                verifier = key
                if got is not None and got.what == "recalled":
                    found.add((got.changed_log[0], got.refers, got.subject))
        return found

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


def _own_key(message: Message) -> NoteVerifier:
    """Return the key that a message names; the settings name its log. Raises `NotProved`."""
    try:
        return NoteVerifier.parse(MessageProof.parse(message.proof).vkey)
    except Invalid:
        raise NotProved("form") from None


def _tell(what: str, origin: str, **fields: Code | int) -> TellAbove:
    return TellAbove(room=NO_ROOM, lines=(line(f"shards.{what}", origin=Code(origin), **fields),))
