"""Tables on stdout that fit the terminal without a broken word.

Rules kept here:
- Times are short, and people of the deployment's own server are written without it; a line below says so.
- A word that is wider than its column ends in "…". Times are never cut.
- If the columns do not fit at all, each row becomes a block of lines.
- With ``--wide`` everything is whole and nothing is fitted.

Left to others: which columns (the file of each command), JSON (`output.py`).
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, chop_cells

from bot.texts.catalog import cli_language, short_time
from moderation.values.ids import is_user_id
from moderation.values.notices import Moment

from .output import Cells, as_json, console, say, shown, text

_GAP = "  "
_LEAST = 8  # columns at the least for a word that is cut, and for Chinese, which can be broken anywhere
_ID = 10  # and for ids of rooms and events, hashes and keys, which are cut first
_MOST = 120  # columns of a text in one cell
_MORE = "…"
_NO_CELLS: Cells = {}
# A Chinese character with the punctuation that belongs to its line, or all that stands between spaces.
_CJK = "\u2e80-\u2fff\u3001-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_CJK}][，。、；：！？）》”…]*|[^ {_CJK}]+| +")
_HAN = re.compile(f"[{_CJK}]")
_IDS = re.compile(r"[!$].*|[A-Za-z0-9+/=_-]{40,}")
# Columns that mean the same in every table: points in time (0: none), and numbers that name something.
_MOMENTS = frozenset({"at", "since", "until", "ended", "opened", "due", "decided", "expires", "code_until", "used"})
_NUMBERS = frozenset({"n", "case", "task", "dossier", "record", "hold"})


@dataclass(frozen=True, slots=True)
class Look:
    """The way a table is shown: whole or fitted, and the server of the deployment, which is left out of names."""

    is_wide: bool = False
    home: str = ""


class _Time(str):
    """A cell with a time, which is neither cut nor broken."""

    __slots__ = ()


@dataclass(slots=True)
class _Cut:
    """True if something was cut."""

    happened: bool = False

    def word(self, word: str, width: int) -> str:
        """Return the word, or its beginning."""
        if cell_len(word) <= width:
            return word
        self.happened = True
        return chop_cells(word, max(1, width - 1))[0] + _MORE


def list_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    show: Cells = _NO_CELLS,
    *,
    json: bool,
    none: str,
    look: Look = Look(),
) -> None:
    """Print rows: as JSON if asked for, else as a table, or the text `none` if there are no rows."""
    if json:
        as_json(rows)
    elif rows:
        table_of(rows, columns, show, look)
    else:
        say(none)


def table_of(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], show: Cells = _NO_CELLS, look: Look = Look()
) -> None:
    """Print a table of these columns of rows. `show`: what is shown otherwise than under that name elsewhere."""
    table(columns, ([_cell(row, name, show) for name in columns] for row in rows), look)


def sheet_of(row: Mapping[str, Any], names: Iterable[str], show: Cells = _NO_CELLS) -> None:
    """Print one row as a table with a line for each of its values."""
    sheet((text(f"cli.column.{name}"), _cell(row, name, show)) for name in names)


def sheet(rows: Iterable[tuple[str, object]]) -> None:
    """Print lines of a name and its value. Nothing is cut: a word wider than the terminal has a line of its own."""
    cells = [(text("cli.column.what"), text("cli.column.value")), *((head, shown(value)) for head, value in rows)]
    names, values = zip(*cells, strict=True)
    room = console().width - len(_GAP)
    widest = max(each for each in (0, *_word_widths(values)) if each + _longest(names) <= room or not each)
    name = min(max(map(cell_len, names)), room - widest)
    _print(_rows(cells, [name, min(room - name, max(map(cell_len, values)))]), [])


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], look: Look = Look()) -> None:
    """Print a table on stdout. `columns` are keys of the message files below ``cli.column``."""
    heads, rows, cut = [text(f"cli.column.{column}") for column in columns], list(rows), _Cut()
    if look.is_wide:
        cells = [heads, *([shown(cell) for cell in row] for row in rows)]
        _print(_rows(cells, _natural(cells)), [])
        return
    cells, notes = _short(rows, look.home)
    cells = [heads, *([cut.word(cell, _MOST) for cell in row] for row in cells)]
    room = console().width
    if sum(_natural(cells)) + len(_GAP) * (len(heads) - 1) > room:
        cells = _without_empty(cells)
    widths = _widths(cells, room)
    lines = _rows(cells, widths, cut) if widths else list(_blocks(cells, room, cut))
    _print(lines, [*notes, *([text("cli.table.cut")] if cut.happened else [])])


def _cell(row: Mapping[str, Any], name: str, show: Cells) -> object:
    value = row[name]
    if name in show:
        return show[name](value)
    if name in _MOMENTS:
        return Moment(value) if value else ""
    return "" if value is None else str(value) if name in _NUMBERS else value


def _short(rows: Sequence[Sequence[object]], home: str) -> tuple[list[list[str]], list[str]]:
    """Return the cells with short times and people, and the notes that say so."""
    language, now, ending = cli_language(), time.time_ns() // 1_000_000, f":{home}"
    is_home = any(home and is_user_id(cell) and str(cell).endswith(ending) for row in rows for cell in row)

    def short(cell: object) -> str:
        if isinstance(cell, Moment):
            return _Time(short_time(cell.ms, language, now))
        return shown(cell.removesuffix(ending) if home and isinstance(cell, str) and is_user_id(cell) else cell)

    cells = [[short(cell) for cell in row] for row in rows]
    notes = [text("cli.table.times")] if any(isinstance(cell, _Time) for row in cells for cell in row) else []
    return cells, notes + ([text("cli.table.people", server=home)] if is_home else [])


def _without_empty(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave out the columns that hold nothing."""
    kept = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    return [[row[n] for n in kept] for row in rows]


def _print(lines: Sequence[str], notes: Sequence[str]) -> None:
    print("\n".join([*lines, *(wrapped(" ".join(notes), console().width) if notes else [])]))


def _natural(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, as wide as its widest cell."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return widths that fit, the first row being the heads; [] if there are none.

    No word is cut if there is another way; else the longest words are, those of ids first.
    """
    columns = list(zip(*rows, strict=True))
    room -= len(_GAP) * (len(columns) - 1)
    natural, whole = _natural(rows), [_longest(column) for column in columns]
    ids = [any(map(_IDS.fullmatch, column[1:])) for column in columns]
    least = [
        max(_longest([cell for n, cell in enumerate(column) if not n or isinstance(cell, _Time)]), min(width, few))
        for column, width, few in zip(columns, whole, ([_LEAST, _ID][is_id] for is_id in ids), strict=True)
    ]
    with_ids_cut = [few if is_id else width for width, few, is_id in zip(whole, least, ids, strict=True)]
    for floor in (whole, with_ids_cut, least):
        if sum(floor) <= room:
            return _level(natural, floor, room)
    return []


def _level(natural: Sequence[int], floor: Sequence[int], room: int) -> list[int]:
    """Return widths between `floor` and `natural` that fit; the widest columns give way, evenly."""
    level = max(natural)
    while sum(widths := [max(few, min(most, level)) for most, few in zip(natural, floor, strict=True)]) > room:
        level -= 1
    return widths


def _longest(cells: Iterable[str]) -> int:
    """Return the width of the longest word."""
    return max(_word_widths(cells), default=0)


def _word_widths(cells: Iterable[str]) -> Iterator[int]:
    """Yield the least width of each word: Chinese can be broken anywhere."""
    for cell in cells:
        for word in [cell] if isinstance(cell, _Time) else cell.split():
            whole = isinstance(word, _Time) or not _HAN.search(word)
            yield cell_len(word) if whole else min(cell_len(word), _LEAST)


def _rows(rows: Sequence[Sequence[str]], widths: Sequence[int], cut: _Cut | None = None) -> list[str]:
    """Return the lines of the table, with a rule below its heads."""
    lines: list[str] = []
    for row in rows:
        cells = [wrapped(cell, width, cut) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part + " " * (width - cell_len(part)) for part, width in zip(parts, widths, strict=True))
            lines.append(_GAP.join(padded).rstrip())
        if row is rows[0]:
            lines.append(_GAP.join("─" * width for width in widths))
    return lines


def _blocks(rows: Sequence[Sequence[str]], room: int, cut: _Cut) -> Iterable[str]:
    """Yield the lines of rows written one below the other, for a terminal that is too narrow for columns."""
    heads, *rows = rows
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            yield from wrapped(f"{head}: {cell}", room, cut) if cell else ()
        yield ""


def wrapped(text: str, width: int, cut: _Cut | None = None) -> list[str]:
    """Return the text in lines of at most this width. A wider word is cut, or stays whole without `cut`."""
    lines, spaces = [""], ""
    for word in [text] if isinstance(text, _Time) else _WORDS.findall(text):
        if word.startswith(" "):
            spaces = word
            continue
        word = cut.word(word, width) if cut else word
        if lines[-1] and cell_len(lines[-1] + spaces + word) > width:
            lines.append(word)
        else:
            lines[-1] += spaces + word
        spaces = ""
    return lines
