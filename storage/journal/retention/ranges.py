"""Sets of record numbers that may be very large and consist mostly of runs, such as ``740-745,800``.

Rules kept here:
- Runs are in order, not adjacent and not empty, so that one set has only one text.
- A look-up takes logarithmic time; hundreds of thousands of numbers take a few megabytes.
Left to others: what the numbers mean (`targets.py`, `legal_holds.py`).
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from moderation.values.errors import Invalid
from moderation.values.ids import SAFE_INT

Run = tuple[int, int]  # first number, and one after the last
_RUN = re.compile(r"(0|[1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?")


class Ranges:
    """A set of non-negative numbers, immutable except for a `Builder`."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        """Build the set from runs in any order, which may overlap."""
        self._starts = array("Q")
        self._stops = array("Q")
        for start, stop in sorted(runs):
            if start < stop:
                self._join(start, stop)

    def _join(self, start: int, stop: int) -> None:
        """Add a run that begins no earlier than the last one."""
        if self._stops and start <= self._stops[-1]:
            self._stops[-1] = max(self._stops[-1], stop)
        else:
            self._starts.append(start)
            self._stops.append(stop)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Ranges":
        """Build the set from single numbers, in any order."""
        return cls((number, number + 1) for number in numbers)

    @classmethod
    def parse(cls, text: str) -> "Ranges":
        """Parse what `text` wrote. Raises `Invalid` for any other spelling."""
        ranges = cls(_run(piece) for piece in text.split(",")) if text else cls()
        if ranges.text != text:
            raise Invalid(f"record numbers: {text[:40]!r} is not in order, such as 740-745,800")
        return ranges

    @property
    def text(self) -> str:
        """The set as text, such as ``740-745,800``: both ends belong to a run."""
        return ",".join(f"{a}" if b == a + 1 else f"{a}-{b - 1}" for a, b in self.runs())

    def runs(self) -> Iterator[Run]:
        """Return the runs, in order."""
        return zip(self._starts, self._stops, strict=True)

    def within(self, start: int, stop: int) -> "Ranges":
        """Return the numbers from `start` up to, not including, `stop`."""
        found = Ranges()
        if start >= stop:
            return found
        for at in range(bisect_right(self._stops, start), bisect_left(self._starts, stop)):
            found._join(max(start, self._starts[at]), min(stop, self._stops[at]))
        return found

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1 if number >= 0 else -1
        return at >= 0 and number < self._stops[at]

    def __iter__(self) -> Iterator[int]:
        for start, stop in self.runs():
            yield from range(start, stop)

    def __len__(self) -> int:
        return sum(self._stops) - sum(self._starts)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __or__(self, other: "Ranges") -> "Ranges":
        return Ranges([*self.runs(), *other.runs()])

    def __sub__(self, other: "Ranges") -> "Ranges":
        left = Ranges()
        for start, stop in self.runs():
            for a, b in other.within(start, stop).runs():
                if start < a:
                    left._join(start, a)
                start = b
            if start < stop:
                left._join(start, stop)
        return left

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._starts, self._stops) == (other._starts, other._stops)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Ranges({self.text!r})"


class Builder(Ranges):
    """A set to which numbers are added in order, such as those found while reading a log."""

    __slots__ = ()

    def add(self, number: int) -> None:
        """Add a number that is not below any number in the set."""
        self._join(number, number + 1)

    def extend(self, other: Ranges) -> None:
        """Add a set of numbers, all of which are not below any number in the set."""
        for start, stop in other.runs():
            self._join(start, stop)


def _run(text: str) -> Run:
    found = _RUN.fullmatch(text)
    start, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not start <= last <= SAFE_INT:
        raise Invalid(f"record numbers: {text[:40]!r} is neither a number nor a run such as 740-745")
    return start, last + 1
