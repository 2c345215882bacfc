"""The output of a command: texts, tables, JSON, and errors without a traceback.

Rules kept here:
- Results go to stdout, everything else to stderr.
- Every word stands in the message files.
- What people wrote is shown as text, never as markup or as control codes of the terminal.
- With ``--json`` nothing but JSON is on stdout.

Left to others: what is shown (the file of each command).
"""

import datetime as dt
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.texts.catalog import Catalog, cli_language
from moderation.values.errors import AnswerableError, Invalid, Refused
from moderation.values.ids import is_user_id, server_of
from moderation.values.notices import Moment, Span

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 3  # columns of the terminal between two cells of a table
_ENDLESS = 10_000
_ID = 10  # columns at the least for an id, and for a word in Chinese, which can be broken anywhere
FAILED, MISUSED, INTERRUPTED = 1, 2, 130

Cells = Mapping[str, Callable[[Any], object]]  # how values of a column are shown
_NO_CELLS: Cells = {}
# Columns that mean the same in every table: points in time (0: none), and numbers that name something.
_MOMENTS = frozenset({"at", "since", "until", "ended", "opened", "due", "decided", "expires", "code_until"})
_NUMBERS = frozenset({"n", "case", "task", "dossier", "record", "hold"})


def text(key: str, **fields: object) -> str:
    """Return a text of the message files in the language of the terminal."""
    return Catalog.load().text(cli_language(), key, **fields)


def shown(value: object) -> str:
    """Return a value as the reader's language writes it, on one line and without control codes."""
    return text("cli.value", value=value)


def say(key: str, **fields: object) -> None:
    """Print a text on stdout."""
    console().print(text(key, **fields), markup=False, highlight=False, soft_wrap=True)


def tell(key: str, **fields: object) -> None:
    """Print a text on stderr: progress, hints, all that is not the result."""
    console(stderr=True).print(text(key, **fields), markup=False, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print a table on stdout. `columns` are keys of the message files below ``cli.column``.

    If it is wider than the terminal, times and people are written short, and a line below says how.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heads, rows, room = [text(f"cli.column.{column}") for column in columns], list(rows), console().width
    cells, widths = [[shown(cell) for cell in row] for row in rows], None
    notes: list[str] = []
    if sum(_natural([heads, *cells])) + _GAP * len(heads) > room:
        cells, notes = shorten(rows)
        widths = _fitting([heads, *cells], room)
    drawn = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for n, head in enumerate(heads):
        cut = widths is not None and _is_ids(cells, n)
        drawn.add_column(head, overflow="ellipsis" if cut else "fold", width=widths[n] if widths else None)
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    console().print(drawn)
    for note in notes:
        console().print(note, markup=False, highlight=False)


def _natural(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column, as wide as its widest cell."""
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def _fitting(rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return widths that fit and break no word, except ids of rooms and events; None if there are none."""
    from rich.cells import cell_len

    def longest(column: Sequence[str]) -> int:
        words = (word for cell in column for word in cell.split())
        return max((cell_len(word) if word.isascii() else min(cell_len(word), _ID) for word in words), default=0)

    natural, columns = _natural(rows), zip(*rows, strict=True)
    widths = [
        min(most, _ID) if _is_ids(rows[1:], n) else longest(column)
        for n, (most, column) in enumerate(zip(natural, columns, strict=True))
    ]
    spare = room - sum(widths) - _GAP * len(widths)
    if spare < 0:
        return None
    for n, most in enumerate(natural):
        more = min(most - widths[n], spare)
        widths[n], spare = widths[n] + more, spare - more
    return widths


def _is_ids(rows: Sequence[Sequence[str]], n: int) -> bool:
    """Tell whether a column holds ids of rooms or events, of which the beginning is enough."""
    return bool(rows) and all(row[n][:1] in ("!", "$") for row in rows)


def shorten(rows: Sequence[Sequence[object]]) -> tuple[list[list[str]], list[str]]:
    """Return the cells with short times and people, and the lines that say what was left out."""
    people = {str(cell) for row in rows for cell in row if isinstance(cell, str) and is_user_id(cell)}
    servers = {server_of(each) for each in people}
    home = servers.pop() if len(servers) == 1 else ""
    timed = any(isinstance(cell, Moment) for row in rows for cell in row)
    notes = [text("cli.table.times")] if timed else []
    notes += [text("cli.table.people", server=home)] if home else []
    return [[_short(cell, home) for cell in row] for row in rows], notes


def _short(cell: object, home: str) -> str:
    if isinstance(cell, Moment):
        return dt.datetime.fromtimestamp(cell.ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
    if home and isinstance(cell, str) and is_user_id(cell):
        return shown(cell.removesuffix(f":{home}"))
    return shown(cell)


def list_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], show: Cells = _NO_CELLS, *, json: bool, none: str
) -> None:
    """Print rows: as JSON if asked for, else as a table, or the text `none` if there are no rows."""
    if json:
        as_json(rows)
    elif rows:
        table_of(rows, columns, show)
    else:
        say(none)


def table_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], show: Cells = _NO_CELLS) -> None:
    """Print a table of these columns of rows. `show`: what is shown otherwise than under that name elsewhere."""
    table(columns, ([_cell(row, name, show) for name in columns] for row in rows))


def sheet_of(row: Mapping[str, Any], names: Iterable[str], show: Cells = _NO_CELLS) -> None:
    """Print one row as a table with a line for each of its values."""
    table(("what", "value"), ([text(f"cli.column.{name}"), _cell(row, name, show)] for name in names))


def _cell(row: Mapping[str, Any], name: str, show: Cells) -> object:
    value = row[name]
    if name in show:
        return show[name](value)
    if name in _MOMENTS:
        return moment(value)
    return "" if value is None else str(value) if name in _NUMBERS else value


def moment(ms: int) -> object:
    """Show a point in time, and nothing for 0."""
    return Moment(ms) if ms else ""


def worded(kind: str) -> Callable[[str], str]:
    """Return how a word of the program is shown."""
    return lambda value: word(kind, value)


def say_done(done: object, key: str, *, json: bool, **fields: object) -> None:
    """Print the result of a command: as JSON if asked for, else as a text."""
    if json:
        as_json(done)
    else:
        say(key, **fields)


def as_json(value: object) -> None:
    """Write `value` as JSON on stdout: keys in the order given, times as milliseconds since 1970 UTC."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console, a new one each time, so that a redirected stream is honoured.

    What goes into a file or another program is as wide as it is.
    """
    from rich.console import Console

    asked = "COLUMNS" in os.environ or (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if asked else _ENDLESS)


def report(error: AnswerableError) -> int:
    """Tell the person at the terminal what went wrong; return the matching exit code."""
    sys.stderr.write(words_of(error) + "\n")
    return MISUSED if isinstance(error, Invalid) else FAILED


def words_of(error: AnswerableError) -> str:
    """Return what an error says to a person."""
    return _homeserver_words(error) if type(error).__module__ == "bot.matrix.errors" else why_of(error)


def why_of(error: Exception) -> str:
    """Return the words of a refusal, or what another error says of itself."""
    return text(error.key, **error.fields) if isinstance(error, Refused) else str(error)


def _homeserver_words(error: AnswerableError) -> str:
    from bot.matrix import errors

    detail = str(error)
    match error:
        case errors.RateLimited():
            return text("cli.error.rate_limited", wait=Span(error.retry_after_ms))
        case errors.Unreachable():
            return text("cli.error.unreachable", detail=detail)
        case errors.LoggedOut():
            return text("cli.error.logged_out")
        case _:
            return text("cli.error.homeserver", detail=detail)


def word(kind: str, value: str) -> str:
    """Return a word of the program, such as a case's state, in the reader's language; unchanged if there is none."""
    key = f"cli.{kind}.{value}"
    return text(key) if Catalog.load().has(key) else value


def nearest(word: str, known: Mapping[str, str]) -> str | None:
    """Return the value of the key of `known` that is most like `word`."""
    import difflib

    lowered = {key.casefold(): value for key, value in known.items()}
    close = difflib.get_close_matches(word.casefold(), list(lowered), n=1, cutoff=0.5)
    return lowered[close[0]] if close else None
