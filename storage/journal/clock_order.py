"""Checks that times go forward: a record may be a little older than the one before it, else the log must say why.

Records are numbered as they are written and dated as they are received, so small steps back are ordinary. A step back
of more than `TOLERANCE_MS`, from the record before it in the same day's file or from the beginning of that day, means
that a clock was set back or that something was delayed for long. The journal then adds a `coverage` record at once:
`what` is "clock", `on` is the record that is older than it should be. Without this note, `verify` reports the record as
backdated. If the clock was ahead and a day in the future was begun, `Journal.mend_future` moves that day to its
place, and such a note names the records that are dated after it.

This cannot detect a clock that was wrong from the start and runs evenly.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from moderation.values.events import Json

from .line_format import is_time, time_ms
from .record import Draft

TOLERANCE_MS = 600_000


class Times:
    """The times of records, followed from one to the next through the days."""

    def __init__(self) -> None:
        self._day = ""
        self._last_ms = 0

    def resume(self, day: str, last_ms: int | None) -> None:
        """Continue after a record of time `last_ms` in `day`; None if the day has no record yet."""
        self._day = day
        self._last_ms = _start_ms(day) if last_ms is None else last_ms

    def notes(self, days: Sequence[str], drafts: Sequence[Draft], start: int) -> list[Draft]:
        """Take records, the first with index `start`, and their days; return the notes that must follow them."""
        late = list(self._late(days, drafts, start))
        return [note(index, self._last_ms) for index in late]

    def _late(self, days: Sequence[str], drafts: Sequence[Draft], start: int) -> Iterator[int]:
        for index, (day, draft) in enumerate(zip(days, drafts, strict=True), start):
            if day != self._day:
                self.resume(day, None)
            if self._last_ms - draft.at_ms > TOLERANCE_MS:
                yield index
            self._last_ms = draft.at_ms


def note(index: int, at_ms: int, count: int = 1) -> Draft:
    """Return the record which says that the times of `count` records from `index` on do not fit their place."""
    return Draft("coverage", at_ms, fields={"what": "clock", "count": count, "on": index})


def noted(skeleton: Mapping[str, Json]) -> range:
    """Return the records that such a note is about, all before it; empty if the record is no such note."""
    about, count = skeleton.get("on"), skeleton.get("count")
    is_note = skeleton["k"] == "coverage" and skeleton.get("what") == "clock"
    if not is_note or type(about) is not int or type(count) is not int:
        return range(0)
    return range(about, min(about + count, cast(int, skeleton["i"])))


def start_of(day: str) -> str:
    """Return the time at which a day begins."""
    return f"{day}T00:00:00.000Z"


def is_late(at: str, previous: str) -> bool:
    """Tell whether a record of time `at` needs a note to follow one of time `previous`; what is no time does not."""
    if at >= previous or not (is_time(at) and is_time(previous)):
        return False
    return time_ms(previous) - time_ms(at) > TOLERANCE_MS


def _start_ms(day: str) -> int:
    return time_ms(start_of(day))
