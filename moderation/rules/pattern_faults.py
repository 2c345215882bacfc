"""Faults of regular expressions that RE2 does not accept, with their places.

RE2 names the fault and the piece of the pattern that it concerns, in English and for programmers. Here it becomes the
name of a text of ours, the piece, and the place of the piece in the pattern.

Left to others: the texts (`config.expected.pattern_*` in the message files).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# The beginnings of RE2's messages -> our names, if the name does not depend on the piece.
_FAULTS = {
    "missing ]": "pattern_class_open",
    "missing )": "pattern_group_open",
    "unexpected )": "pattern_group_closed",
    "trailing \\": "pattern_backslash",
    "invalid character class": "pattern_class",
    "invalid escape sequence": "pattern_escape",
    "no argument for repetition operator": "pattern_repeats_nothing",
    "bad repetition operator": "pattern_repeats_twice",
    "invalid repetition size": "pattern_repeats_often",
    "invalid perl operator": "pattern_operator",
    "invalid named capture group": "pattern_operator",
    "pattern too large": "pattern_large",
}
_BACK_REFERENCE = re.compile(r"\\[1-9]")


@dataclass(frozen=True, slots=True)
class PatternFault:
    """A fault: `kind` names the text about it; `at` is the place of `piece` in the pattern, from 1."""

    kind: str
    piece: str
    at: int


def fault_of(pattern: str, said: str) -> PatternFault:
    """Return the fault that RE2's message about a pattern means."""
    kind = next((ours for theirs, ours in _FAULTS.items() if said.startswith(theirs)), "pattern_other")
    piece = said.partition(": ")[2]
    if kind == "pattern_group_open":
        return PatternFault(kind, "(", _place(_unclosed(pattern)))
    if kind == "pattern_group_closed":
        return PatternFault(kind, ")", _place(_unopened(pattern)))
    if kind == "pattern_backslash":
        return PatternFault(kind, "\\", len(pattern))
    if kind == "pattern_escape" and _BACK_REFERENCE.match(piece):
        kind = "pattern_back_reference"
    return PatternFault(kind, piece[:20], pattern.rfind(piece) + 1 if piece else 1)


def _place(index: int | None) -> int:
    return 1 if index is None else index + 1


def _unclosed(pattern: str) -> int | None:
    """Return where the first group begins that is never closed."""
    opened: list[int] = []
    for at, sign in _brackets(pattern):
        if sign == "(":
            opened.append(at)
        elif opened:
            opened.pop()
    return opened[0] if opened else None


def _unopened(pattern: str) -> int | None:
    """Return where the first group ends that never began."""
    depth = 0
    for at, sign in _brackets(pattern):
        depth += 1 if sign == "(" else -1
        if depth < 0:
            return at
    return None


def _brackets(pattern: str) -> Iterator[tuple[int, str]]:
    """Yield the round brackets that group, without those that stand for themselves."""
    in_class, at = False, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
            at += pattern.startswith(("]", "^]"), at + 1) * (2 if pattern.startswith("^", at + 1) else 1)
        elif sign in "()":
            yield at, sign
        at += 1
