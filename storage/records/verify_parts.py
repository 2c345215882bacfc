"""The part of `verify` that looks at the erasable parts.

Rules kept here: a part is what its commitment says, or it is gone and names a later record that was entitled to
take it: of a kind that erases, which declared at least as many parts as point to it.
"""

from collections.abc import Mapping
from typing import cast

from moderation.events import Json

from .canonical import NotCanonical
from .line import Opened, commitment, erased_by
from .report import Findings

ERASERS = frozenset({"erase", "redact", "purge"})


class PartCheck:
    """Every part is either what its commitment says, or erased by a record that may have done so."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._erasers: dict[int, int] = {}  # index -> how many parts it may have erased
        self._marks: dict[int, list[tuple[str, int, int]]] = {}  # eraser -> where the parts were

    def may_erase(self, index: int, skeleton: Mapping[str, Json]) -> None:
        """Remember a record that erased parts."""
        parts = skeleton.get("parts", 1)
        self._erasers[index] = parts if type(parts) is int else 0

    def compare(self, opened: Opened, file: str, line: int) -> None:
        """The parts of one record."""
        commitments = cast("list[str]", opened.skeleton["c"])
        for number, part in enumerate(opened.parts):
            if _commitment(part) != commitments[number]:
                self._look_closer(part, number + 1, cast(int, opened.skeleton["i"]), file, line)

    def _look_closer(self, part: Json, number: int, index: int, file: str, line: int) -> None:
        by = erased_by(part)
        if by is not None and by > index:
            self._marks.setdefault(by, []).append((file, line, index))
        else:
            self._findings.add("part", file, line, index, part=number)

    def finish(self) -> None:
        """Each mark must lead to a record that declared as many parts."""
        for by, places in self._marks.items():
            allowed = self._erasers.get(by, 0)
            for file, line, index in places[allowed:]:
                code = "erased_unknown" if by not in self._erasers else "erased_too_many"
                self._findings.add(code, file, line, index, by=by, allowed=allowed, found=len(places))


def _commitment(part: Json) -> str:
    try:
        return commitment(part)
    except NotCanonical:
        return ""
