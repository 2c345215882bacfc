"""Looks for ends of orders in messages of other logs that were not read yet.

Rules kept here:
- A shard that reads late does not carry out an order that was recalled long ago. Before it takes an order, it looks for
  the end of it in the messages that are still to be read.
- No message is looked at twice, and at most `MOST_AHEAD` of a log are looked at before they are read. An order
  whose end stands further on is carried out, and ends when its end is read.

Left to others: reading and learning (`receiver.py`), what follows (`bot/pipeline/learnt.py`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.runtime.newest import Newest
from moderation.model.facts import Learnt
from moderation.shards.eras import NO_ERA, Era, written_in
from moderation.values.ids import UserId
from storage.journal.transparency.signed_note import NoteVerifier

from .checking import ENDS, KnownLog, NotProved, check, own_key
from .port import Exchange, Message

MOST_AHEAD = 20_000  # messages of a log
_MOST_ERAS = 1_000
_AT_ONCE = 50

Cursor = tuple[str, int]  # era and index of the message up to which a log was read
End = tuple[str, str, int, UserId]  # of an order: its log, the era in which it is named, its index, whom it is about


async def following(exchange: Exchange, origin: str, cursor: Cursor, most: int) -> Sequence[Message]:
    """Return the next messages of a log, at most `most`: of the era of `cursor`, or else of the next era."""
    era, index = cursor
    eras = list(await exchange.eras(origin))
    if era in eras:
        if messages := await exchange.after(origin, era, index, most):
            return messages
        later = eras[eras.index(era) + 1 :]
    else:
        later = eras
    return await exchange.after(origin, later[0], -1, most) if later else ()


@dataclass(slots=True)
class _Looked:
    """The part of one log that was looked at, and was not read when that began."""

    known: KnownLog
    verifier: NoteVerifier | None
    cursor: Cursor
    ends: Newest[End, None] = field(default_factory=lambda: Newest(MOST_AHEAD))  # those before are read by now
    eras: deque[Era] = field(default_factory=lambda: deque(maxlen=_MOST_ERAS))
    count: int = 0  # messages looked at and not read yet


class LookAhead:
    """Knows the ends of orders in messages that were not read yet and hold."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._looked: dict[str, _Looked] = {}

    async def go_on(self, origin: str, known: KnownLog, verifier: NoteVerifier | None) -> None:
        """Look at the messages after those that were looked at before, or after `known`, the end of what was read."""
        looked = self._looked.get(origin)
        if looked is None or await self._is_passed(origin, looked, known):
            looked = self._looked[origin] = _Looked(known, verifier, (known.era, known.position))
        while (left := MOST_AHEAD - looked.count) > 0:
            messages = await following(self._exchange, origin, looked.cursor, min(left, _AT_ONCE))
            if not messages or not _look_at(messages, looked):
                return

    def passed(self, origin: str, count: int) -> None:
        """Note that `count` messages of a log were read."""
        if looked := self._looked.get(origin):
            looked.count = max(0, looked.count - count)

    async def _is_passed(self, origin: str, looked: _Looked, known: KnownLog) -> bool:
        era, index = looked.cursor
        if era == known.era:
            return known.position >= index
        eras = list(await self._exchange.eras(origin))
        return known.era in eras and (era not in eras or eras.index(known.era) > eras.index(era))

    def is_recalled(self, order: Learnt, eras: Sequence[Era]) -> bool:
        """Tell whether the end of an order is there to be read. `eras` are those of its log that were heard of."""
        ahead = self._looked.get(order.origin)
        known = (*eras, *(ahead.eras if ahead else ()))
        names = {NO_ERA, order.era, *(era.name for era in known)}
        named = [each for each in names if order.era in written_in(known, each, order.index)]
        ends = [(order.origin, each, order.index, order.subject) for each in named]
        return any(end in looked.ends for looked in self._looked.values() for end in ends)


def _look_at(messages: Sequence[Message], looked: _Looked) -> bool:
    """Note the ends of orders in these messages. Returns whether the messages after them can be looked at, too."""
    for message in messages:
        try:
            key = looked.verifier or own_key(message)
            got, looked.known = check(message, key, looked.known)
        except NotProved as refused:
            if refused.code in ENDS or message.era != looked.known.era:
                return False  # it is looked at again, and counts once it is passed; an era begins with one that holds
            looked.count += 1
            looked.known, looked.cursor = refused.known or looked.known, (message.era, message.index)
            continue
        looked.count += 1
        looked.verifier, looked.cursor = key, (message.era, message.index)
        if got is None:
            continue
        if got.what == "recalled":
            log, era = got.changed_log
            looked.ends[log, era, got.refers, got.subject] = None
        elif got.what == "restored":
            looked.eras.append(Era(got.era, got.index))
    return True
