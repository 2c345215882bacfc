"""The estimate of what judging will cost, from what it has cost, so that no room's messages hold up another's.

Rules kept here:
- The cost of a room's messages is learnt per thousand letters: both the patterns of a room and the length of its
  messages are its people's choice.
- No room is taken to be cheaper than `KILO_MS`, so that cheap texts do not make room for expensive ones.
- Events that will take long are taken in slices; between them other work has its turn (`pipeline.py`).
- The sync loop takes nothing of a room whose new events alone would take `MOST_MS`: these are read separately, like a
  room that is behind (`bot/sync/backfill.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moderation.values.events import FileSeen, Received
from moderation.values.ids import RoomId

EACH_MS = 0.1  # of processor time, for an event without text
KILO_MS = 2.0  # for a thousand letters, at least
SLICE_MS = 100.0  # the longest slice, after which other work has its turn
MOST_MS = 250.0  # of one room in one answer of `/sync`
HALF_LIFE = 64.0  # thousands of letters, after which a cost counts half


@dataclass(slots=True)
class _Seen:
    kilos: float = 0.0
    ms: float = 0.0


class JudgingCosts:
    """The costs of judging, by room."""

    def __init__(self) -> None:
        self._seen: dict[RoomId, _Seen] = {}

    def spent(self, room: RoomId, letters: int, ms: float) -> None:
        """Note how much processor time, in milliseconds, judging an event of so many letters took."""
        seen = self._seen.setdefault(room, _Seen())
        kilos = letters / 1000
        kept = 0.5 ** (kilos / HALF_LIFE)
        seen.kilos = seen.kilos * kept + kilos
        seen.ms = seen.ms * kept + max(ms - EACH_MS, 0.0)

    def expected(self, events: Iterable[Received]) -> float:
        """Return how many milliseconds judging these events will take."""
        return sum(map(self._of, events))

    def slices(self, events: Sequence[Received]) -> Iterator[Sequence[Received]]:
        """Cut events, in their order, into slices that take no longer than `SLICE_MS` or hold one event.

        There is at least one slice, which may be empty.
        """
        begins, total = 0, 0.0
        for place, event in enumerate(events):
            cost = self._of(event)
            if total + cost > SLICE_MS and place > begins:
                yield events[begins:place]
                begins, total = place, 0.0
            total += cost
        yield events[begins:]

    def _of(self, event: Received) -> float:
        count = letters(event)
        if not count:
            return EACH_MS
        seen = self._seen.get(event.room)
        rate = seen.ms / seen.kilos if seen and seen.kilos else 0.0
        return EACH_MS + max(rate, KILO_MS) * count / 1000


def letters(event: Received | FileSeen) -> int:
    """Return how many letters there are to judge, or how many of ciphertext if the event is not decrypted yet."""
    if texts := getattr(event, "texts", ()):
        return sum(len(text.value) for text in texts)
    sealed = event.content.get("ciphertext") if hasattr(event, "content") else None
    return len(sealed) if isinstance(sealed, str) else 0
