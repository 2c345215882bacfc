"""Records as the console lists them: a sentence each, without anybody's name or words until a reason was given.

Rules kept here:
- Whatever was done to the log, a page is made of it: a line that cannot be read is a row that says so.

Left to others: the words (`bot/texts/record_words.py`), which records (`pages/records.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.texts.record_words import Wording
from storage.journal.line_format import BadLine, DecodedLine, open_line, time_ms
from storage.journal.search import line_index

SKELETON = ("i", "t", "k", "g", "p", "c", "x")  # what every record has


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record in a list; `said` is "" if it cannot be read."""

    index: int
    at_ms: int
    group: str
    said: str


def row_of(raw: bytes, wording: Wording) -> RecordRow:
    """Return a record as a row."""
    try:
        opened = open_line(raw)
    except BadLine:
        return RecordRow(line_index(raw), 0, "", "")
    skeleton = opened.skeleton
    said = sentence_of(opened, wording)
    return RecordRow(line_index(raw), moment_of(skeleton["t"]), str(skeleton.get("g", "")), said)


def sentence_of(opened: DecodedLine, wording: Wording) -> str:
    """Return what a record says; "" if there is no sense in it."""
    try:
        return wording.sentence({**opened.skeleton, "x": opened.parts})
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):  # altered by hand
        return ""


def moment_of(text: object) -> int:
    """Return the time of a record; 0 if it is none."""
    try:
        return time_ms(str(text))
    except ValueError:
        return 0


def people_of(opened: DecodedLine) -> list[str]:
    """Return the people whom the parts of a record name."""
    named = [part["mxid"] for part in opened.parts if isinstance(part, Mapping) and "mxid" in part]
    return list(dict.fromkeys(each for each in named if isinstance(each, str) and each))


def people_in(lines: Sequence[bytes]) -> set[str]:
    """Return the people whom these lines name."""
    found: set[str] = set()
    for raw in lines:
        try:
            found.update(people_of(open_line(raw)))
        except BadLine:
            continue
    return found


def json_of(raw: bytes, *, content: bool) -> dict[str, Any]:
    """Return a record as `logs show --json` does, with or without its parts; of a damaged line its number."""
    try:
        opened = open_line(raw)
    except BadLine as error:
        return {"i": line_index(raw), "damaged": error.code}
    return {**opened.skeleton, **({"x": opened.parts} if content else {})}
