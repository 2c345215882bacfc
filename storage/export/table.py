"""The records as a table for a spreadsheet: one row for each part, or one for a record without parts.

Rules kept here: no cell can begin a formula, whatever people wrote and whatever separator the program takes; every
cell is quoted (RFC 4180); UTF-8 with the byte order mark by which spreadsheets know it. It is a copy to read: what
could begin a formula is written with an apostrophe before it, so it differs from the record there.
Left to others: what is proved (`records.jsonl`).
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from moderation.events import Json

from ..records.line import erased_by
from .selection import WITHHELD

COLUMNS = (
    "record", "time", "kind", "group", "case", "rule", "class", "fields",
    "part", "state", "as", "mxid", "text", "other",
)  # fmt: skip
BOM = "\ufeff"
_OWN = frozenset({"i", "t", "k", "g", "p", "c", "n", "rule", "class"})
_TEXTS = ("body", "reason", "excerpt", "matched", "words", "detail")
# What a spreadsheet takes for the beginning of a formula: as a cell's first character, or after what another program
# takes for the end of a cell (tab, semicolon, line break), behind quotes and spaces.
_FORMULA = re.compile(r"(?:^|(?<=[\t\r\n;|]))(?=[\"'\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])|^(?=[\t\r\n])")


def table(records: Iterable[tuple[Mapping[str, Json], list[Json]]]) -> Iterator[str]:
    """The text of the table, row by row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    yield BOM
    writer.writerow(COLUMNS)
    for skeleton, parts in records:
        for row in _rows(skeleton, parts):
            writer.writerow([harmless(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def harmless(value: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = value if isinstance(value, str) else str(value)
    return _FORMULA.sub("'", text.replace("\0", "\ufffd"))


def _rows(skeleton: Mapping[str, Json], parts: list[Json]) -> Iterator[list[Any]]:
    fields = {name: value for name, value in skeleton.items() if name not in _OWN}
    own = [skeleton.get(name, "") for name in ("i", "t", "k", "g", "n", "rule", "class")]
    own.append(_json(fields) if fields else "")
    for number, part in enumerate(parts, 1):
        yield [*own, number, *_part(part)]
    if not parts:
        yield [*own, *[""] * 6]


def _part(part: Json) -> list[Any]:
    if part is WITHHELD:
        return ["withheld", "", "", "", ""]
    if (by := erased_by(part)) is not None:
        return [f"erased by {by}", "", "", "", ""]
    data = dict(part) if isinstance(part, Mapping) else {"": part}
    data.pop("s", None)
    who, mxid = data.pop("as", ""), data.pop("mxid", "")
    texts = [value for name in _TEXTS if isinstance(value := data.get(name), str)]
    other = {name: value for name, value in data.items() if name not in _TEXTS or not isinstance(value, str)}
    return ["shown", who, mxid, "\n".join(texts), _json(other) if other else ""]


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
