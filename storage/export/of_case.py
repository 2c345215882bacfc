"""Records of a case: its evidence, findings in it, decisions, measures, credit, and their outcomes.

Rules kept here:
- A record belongs to the case whose number it bears.
- So does the record that such a record is about (`on`, `message`): the message that is the evidence, the command that
  decided.
- So do findings in that evidence, copies kept of it, and reports of it.
- A measure's extension and end belong to the case that began it.
- A record with another case's number never belongs to this one.

Left to others: reading (`choose.py`).
"""

from array import array
from collections.abc import Iterable
from typing import cast

from storage.journal.line_format import DecodedLine

_FOLLOWERS = frozenset({"finding", "media", "report", "outcome", "notice"})


def records_of_cases(records: Iterable[tuple[bytes, DecodedLine]], numbers: frozenset[int]) -> frozenset[int]:
    """Return the numbers of all records of these cases, in one pass through the log."""
    found: set[int] = set()
    started: set[int] = set()
    evidence: set[int] = set()
    followers, leaders = array("Q"), array("Q")  # of the whole log: 16 bytes each
    for _, opened in records:
        skeleton = opened.skeleton
        index, kind, on, n = cast(int, skeleton["i"]), skeleton["k"], skeleton.get("on"), skeleton.get("n") or 0
        if n in numbers or (not n and skeleton.get("start") in started):
            found.add(index)
            if kind == "sanction":
                started.add(index)
            evidence.update(about for about in (on, skeleton.get("message")) if type(about) is int and about >= 0)
        elif not n and kind in _FOLLOWERS and type(on) is int and on >= 0:
            followers.append(index)
            leaders.append(on)
    return frozenset(found | evidence | _led_by(found | evidence, followers, leaders))


def _led_by(wanted: set[int], followers: "array[int]", leaders: "array[int]") -> set[int]:
    return {index for index, on in zip(followers, leaders, strict=True) if on in wanted}
