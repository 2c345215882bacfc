"""Records as the console lists them: a sentence each, without anybody's name or words until a reason was given.

Left to others: the words (`bot/texts/record_words.py`), which records (`pages/records.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bot.texts.record_words import Wording
from storage.journal.line_format import BadLine, DecodedLine, open_line, time_ms

SKELETON = ("i", "t", "k", "g", "p", "c", "x")  # what every record has


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record in a list; `said` is "" if it cannot be read."""

    index: int
    at_ms: int
    group: str
    said: str


def row_of(raw: bytes, wording: Wording) -> RecordRow:
    """Return a record as a row. Whatever stands in the line, it returns one."""
    try:
        opened = open_line(raw)
        skeleton: Mapping[str, Any] = opened.skeleton
        said = wording.sentence({**skeleton, "x": opened.parts})
        return RecordRow(skeleton["i"], time_ms(skeleton["t"]), str(skeleton.get("g", "")), said)
    except (BadLine, ValueError, TypeError, KeyError, AttributeError):  # altered by hand
        return RecordRow(-1, 0, "", "")


def people_of(opened: DecodedLine) -> list[str]:
    """Return the people whom the parts of a record name."""
    named = [part["mxid"] for part in opened.parts if isinstance(part, Mapping) and "mxid" in part]
    return [each for each in dict.fromkeys(named) if isinstance(each, str) and each]


def people_in(lines: Sequence[bytes]) -> set[str]:
    """Return the people whom these lines name."""
    found: set[str] = set()
    for raw in lines:
        try:
            found.update(people_of(open_line(raw)))
        except BadLine:
            continue
    return found


def index_of(raw: bytes) -> int:
    """Return the index of a record; 0 if it cannot be read."""
    try:
        return int(cast(int, open_line(raw).skeleton["i"]))
    except BadLine:
        return 0
