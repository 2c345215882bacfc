"""The operator's roster as a CSV file (RFC 4180) that spreadsheets write, and the lists written for them.

Columns: `identifier` (unique to a person, such as a membership number), `name`, `email`, and optionally `level` (1 or
2) and `expires` (2027-12-31). The first line names them. UTF-8, with or without a byte order mark; `,` or `;`; quotes.

Rules kept here:
- Faults are told line by line, and no line is guessed at.
- A duplicate refuses both lines.
- A cell that a spreadsheet would take for a formula is kept as it is, and written so that none does.

Left to others: keeping it (`storage/identity/roster.py`).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from difflib import get_close_matches

from moderation.values.errors import Refused
from storage.identity.blind_index import normalised
from storage.identity.roster import METHOD, Listed

REQUIRED = ("identifier", "name", "email")
OPTIONAL = ("level", "expires")
MAX_CELL = 254
MAX_LEVEL = 2
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class WrongLine:
    """A line that is not taken over, and why: a key of the message files below ``cli.roster.wrong``."""

    line: int
    why: str
    other: int = 0  # the other line, of a duplicate
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The content of a file."""

    listed: tuple[Listed, ...]
    wrong: tuple[WrongLine, ...]


def parse(data: bytes) -> Sheet:
    """Return the roster in a file. Raises `Refused` if it holds none."""
    text = _decoded(data)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        columns = _columns(next(rows, []))
    except csv.Error as error:
        raise Refused("cli.roster.broken", number=1, why=str(error)) from None
    wrong: list[WrongLine] = []
    found: dict[str, tuple[int, Listed]] = {}
    twice: dict[str, int] = {}
    number = rows.line_num + 1
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                _take(number, row, columns, found, twice, wrong)
            number = rows.line_num + 1  # a quoted cell may go over several lines
    except csv.Error as error:
        raise Refused("cli.roster.broken", number=number, why=str(error)) from None
    listed = tuple(each for name, (_, each) in found.items() if name not in twice)
    wrong += [
        WrongLine(line, "twice", twice[name], each.identifier) for name, (line, each) in found.items() if name in twice
    ]
    return Sheet(listed, tuple(sorted(wrong, key=lambda each: each.line)))


def _take(
    number: int,
    row: Sequence[str],
    columns: Sequence[str],
    found: dict[str, tuple[int, Listed]],
    twice: dict[str, int],
    wrong: list[WrongLine],
) -> None:
    listed = _listed(row, columns)
    if isinstance(listed, str):
        given = row[columns.index("identifier")] if len(row) > columns.index("identifier") else ""
        wrong.append(WrongLine(number, listed, 0, given.strip()[:MAX_CELL]))
        return
    name = normalised(METHOD, listed.identifier)
    if name in found:
        twice.setdefault(name, number)
        wrong.append(WrongLine(number, "twice", found[name][0], listed.identifier))
    else:
        found[name] = (number, listed)


def _listed(row: Sequence[str], columns: Sequence[str]) -> Listed | str:
    """Return the entry of a line, or what is wrong with it."""
    if len(row) != len(columns):
        return "cells"
    cells = dict(zip(columns, (cell.strip() for cell in row), strict=True))
    if any(len(cell) > MAX_CELL or not cell.isprintable() for cell in cells.values()):
        return "cell"
    if not cells["identifier"]:
        return "no_identifier"
    if cells["email"] and not 0 < cells["email"].find("@") < len(cells["email"]) - 1:
        return "email"
    level = cells.get("level") or "0"
    if level not in ("0", *map(str, range(1, MAX_LEVEL + 1))):
        return "level"
    try:
        expires = _expires(cells.get("expires", ""))
    except ValueError:
        return "expires"
    return Listed(cells["identifier"], cells["name"], cells["email"], int(level), expires)


def _expires(text: str) -> int:
    """Return the end of that day, UTC, in milliseconds; 0 if no day is given."""
    if not text:
        return 0
    end = datetime.combine(date.fromisoformat(text), time.max, UTC)
    return int(end.timestamp() * 1000)


def _columns(header: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    for column in columns:
        if column not in (*REQUIRED, *OPTIONAL):
            near = get_close_matches(column, (*REQUIRED, *OPTIONAL), n=1, cutoff=0.6)
            raise Refused("cli.roster.column", column=column[:40], near=near[0] if near else ", ".join(REQUIRED))
    missing = [column for column in REQUIRED if column not in columns]
    if missing or len(set(columns)) != len(columns):
        raise Refused("cli.roster.header", columns=",".join(REQUIRED))
    return columns


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused("cli.roster.not_utf8", number=line) from None


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: one that begins like a formula is quoted."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def write(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a CSV file."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()
