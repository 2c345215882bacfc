"""The part of `verify` that checks erased parts once all lines have been read.

Rules kept here:
- An erased part names a later, signed `erase` record that names this very part and was written on the date in the part.
- Conversely, the parts that an `erase` record names are erased.
- No other kind of record erases parts, and an `erase` record that does not show its list erases none.
"""

from collections.abc import Callable, Iterable
from typing import cast

from moderation.values.errors import Broken
from storage.journal.line_format import DecodedLine
from storage.journal.report import Findings
from storage.journal.retention.erase import Erasure, erasure_of
from storage.journal.retention.ranges import Builder, Ranges
from storage.journal.retention.targets import Targets

from .lines import Checked, Marks

Where = Callable[[int], tuple[str, int]]  # the file and line of a record


class PartCheck:
    """Checks that every part matches its commitment (`lines.py`) or was erased by a record that names it."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._erasers: dict[int, Erasure] = {}
        self._marks: Marks = {}

    def absorb(self, checked: Checked) -> None:
        """Add the erasure marks found in some lines."""
        for by, places in checked.marks.items():
            known = self._marks.setdefault(by, {})
            for place, records in places.items():
                known.setdefault(place, Builder()).extend(records)

    def may_erase(self, opened: DecodedLine, where: tuple[str, int]) -> None:
        """Remember an `erase` record. A malformed one may erase nothing."""
        index = cast(int, opened.skeleton["i"])
        try:
            self._erasers[index] = erasure_of(opened)
        except Broken:
            self._findings.add("erase_form", *where, index)
            self._erasers[index] = Erasure(index, cast(str, opened.skeleton["t"])[:10], Targets({}))

    def unknown(self) -> set[int]:
        """Return the records that marks name but that were not read as `erase` records."""
        return {by for by, _ in self._marks if by not in self._erasers}

    def newest(self) -> int:
        """Return the last record that a mark names; -1 without marks."""
        return max((by for by, _ in self._marks), default=-1)

    def finish(self, where: Where, end: int | None = None, signed: int | None = None) -> None:
        """Check the record that each mark names.

        Records from `end` on were not read. Records from `signed` on may not erase yet: an erasure is signed before
        it is carried out.
        """
        for (by, date), places in self._marks.items():
            if end is not None and by >= end:
                continue
            eraser = self._erasers.get(by)
            if eraser is None:
                self._add("erased_unknown", _each(places), where, by=by)
                continue
            known = eraser.targets.places
            strange = {place: ranges - known.get(place, Ranges()) for place, ranges in places.items()}
            self._add("erased_other", _each(strange), where, by=by)
            if eraser.date != date:
                self._add("erased_date", _each(places)[:1], where, by=by, date=date, found=eraser.date)
            if signed is not None and by >= signed:
                self._add("erased_unsigned", _each(places)[:1], where, by=by)

    def not_gone(self, first: int, size: int) -> Targets:
        """Return the parts that `erase` records name but that bear no mark, in records from `first` up to `size`."""
        named = Targets({})
        for eraser in self._erasers.values():
            named |= eraser.targets.within(first, size)
        gone: dict[int, Ranges] = {}
        for places in self._marks.values():
            for place, ranges in places.items():
                gone[place] = gone.get(place, Ranges()) | ranges
        left = {place: ranges - gone.get(place, Ranges()) for place, ranges in named.places.items()}
        return Targets({place: ranges for place, ranges in left.items() if ranges})

    def _add(self, code: str, records: Iterable[int], where: Where, **fields: object) -> None:
        for index in records:
            file, line = where(index)
            self._findings.add(code, file, line, index, **fields)


def _each(places: "dict[int, Builder] | dict[int, Ranges]") -> list[int]:
    """Return the records in order, once for each place."""
    return sorted(index for ranges in places.values() for index in ranges)
