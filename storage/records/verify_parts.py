"""The part of `verify` that looks at erased parts, when all lines have been read.

Rules kept here: a part that is gone names a later record that was entitled to take it: an `erase` record that names
this very part and was written on the date the part bears, or, for kinds that name no parts, one that declared at least
as many. And the other way round: what an `erase` record names is gone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from moderation.errors import Invalid
from moderation.events import Json

from .ranges import Builder, Ranges
from .report import Findings
from .targets import Targets
from .verify_lines import Checked, Marks

ERASERS = frozenset({"erase", "redact", "purge"})
Where = Callable[[int], tuple[str, int]]  # the file and line of a record


@dataclass(frozen=True, slots=True)
class _Eraser:
    """A record that took parts away: how many, on which date, and which, if it says so."""

    parts: int
    date: str
    targets: Targets | None


class PartCheck:
    """Every part is what its commitment says (`verify_lines.py`), or erased by a record that may have done so."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._erasers: dict[int, _Eraser] = {}
        self._redacted = Builder()
        self._marks: Marks = {}

    def absorb(self, checked: Checked) -> None:
        """The marks and the erasing records in some lines."""
        self._redacted.extend(checked.redacted)
        for by, places in checked.marks.items():
            known = self._marks.setdefault(by, {})
            for place, records in places.items():
                known.setdefault(place, Builder()).extend(records)

    def may_erase(self, skeleton: Mapping[str, Json], parts: Sequence[Json], where: tuple[str, int]) -> None:
        """Remember a record that erased parts."""
        count = skeleton.get("parts", 1)
        index = cast(int, skeleton["i"])
        texts = [part["records"] for part in parts if type(part) is dict and "records" in part]
        targets = None
        if skeleton["k"] == "erase" and texts:
            targets = _targets(texts, count, index)
            if targets is None:
                self._findings.add("erase_form", *where, index)
                targets = Targets({})  # it may take nothing
        self._erasers[index] = _Eraser(count if type(count) is int else 0, cast(str, skeleton["t"])[:10], targets)

    def unknown(self) -> set[int]:
        """The records that marks name and that were not read."""
        return {by for by, date in self._marks if self._eraser(by, date) is None}

    def finish(self, where: Where, end: int | None = None) -> None:
        """Each mark must lead to a record that may have made it; those from `end` on were not read."""
        for (by, date), places in self._marks.items():
            if end is not None and by >= end:
                continue
            eraser = self._eraser(by, date)
            if eraser is None:
                self._add("erased_unknown", _each(places), where, by=by)
            elif eraser.targets is not None:
                known = eraser.targets.places
                strange = {place: ranges - known.get(place, Ranges()) for place, ranges in places.items()}
                self._add("erased_other", _each(strange), where, by=by)
            else:
                marks = _each(places)
                self._add(
                    "erased_too_many", marks[eraser.parts :], where, by=by, allowed=eraser.parts, found=len(marks)
                )
            if eraser is not None and eraser.date != date:
                self._add("erased_date", _each(places)[:1], where, by=by, date=date, found=eraser.date)

    def not_gone(self, first: int, size: int) -> Targets:
        """The parts that records name and that no mark was seen of, among the records that are there."""
        named = Targets({})
        for eraser in self._erasers.values():
            if eraser.targets is not None:
                named |= eraser.targets.within(first, size)
        gone: dict[int, Ranges] = {}
        for places in self._marks.values():
            for place, ranges in places.items():
                gone[place] = gone.get(place, Ranges()) | ranges
        left = {place: ranges - gone.get(place, Ranges()) for place, ranges in named.places.items()}
        return Targets({place: ranges for place, ranges in left.items() if ranges})

    def _eraser(self, by: int, date: str) -> _Eraser | None:
        if by in self._redacted:
            return _Eraser(1, date, None)
        return self._erasers.get(by)

    def _add(self, code: str, records: Iterable[int], where: Where, **fields: object) -> None:
        for index in records:
            file, line = where(index)
            self._findings.add(code, file, line, index, **fields)


def _targets(texts: Sequence[Json], count: Json, index: int) -> Targets | None:
    """What an `erase` record names; None if it does not say it rightly."""
    try:
        targets = Targets.parse(texts[0])
    except Invalid:
        return None
    return targets if len(texts) == 1 and targets.count == count and targets.last < index else None


def _each(places: "dict[int, Builder] | dict[int, Ranges]") -> list[int]:
    """The records, once for each place."""
    return sorted(index for ranges in places.values() for index in ranges)
