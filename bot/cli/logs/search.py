"""`answerable logs search`: find what people wrote, over all days.

The text is searched in the content of the parts and in the words of the skeleton, ignoring case. As the content is
shown, ``--reason`` is needed, and noted before anything is printed. ``--json``: the lines as they stand.

Rules kept here:
- Results are printed as they are found, oldest first.
- Memory does not grow with the log.

Left to others: the other filters (`storage/journal/query.py`), the form of a record (`line_format.py`).
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from bot.cli.access.access_reason import (
    DataDir,
    Kinds,
    Person,
    Raw,
    Reason,
    Room,
    Since,
    Until,
    data_dir_of,
    given,
    leave_note,
    moment_of,
    query_of,
)
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.terminal.output import tell, text
from bot.cli.terminal.progress import Bar, progress
from moderation.values.errors import Broken, Invalid

from .line_format import print_record
from .words import wording_of

if TYPE_CHECKING:
    from storage.journal.query import Query

_INDEX = re.compile(rb'\{"i":([0-9]{1,16}),')


def search(
    words: Annotated[str, typer.Argument(metavar="TEXT", help=text("cli.logs.option.words"))],
    reason: Reason,
    room: Room = None,
    person: Person = None,
    kind: Kinds = None,
    since: Since = None,
    until: Until = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, metavar="N", help=text("cli.logs.option.last"))] = 0,
    raw: Raw = False,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Find records."""
    data, now = data_dir_of(data_dir, config_file), now_ms()
    if not words.strip():
        raise Invalid(text("cli.logs.bad_words"))
    query = query_of(data / "records", room, person, kind or [], moment_of(since, now), moment_of(until, now))
    asked = given(what="search", text=words, room=room, person=person, kind=kind, since=since, until=until)
    leave_note(data, reason, now, asked)
    count, wording = 0, None
    if not (raw or json):
        wording = wording_of(data, None if data_dir else config_file, now, content=True)
    with progress() as bar:
        found = matching(data / "records", query, words, bar)
        for line in deque(found, maxlen=last) if last else found:
            print_record(line, wording, content=True, json=json)
            count += 1
    if not json:
        tell("cli.logs.found", count=count)


def matching(folder: Path, query: "Query", words: str, bar: Bar | None = None) -> Iterator[bytes]:
    """Yield the lines that fit and hold the text somewhere. Raises `Broken` at a damaged line."""
    from storage.journal.days import DamagedDay, DayLines, list_days
    from storage.journal.line_format import BadLine

    may_hold, folded = quick_test(words), words.casefold()
    total, label = _size(folder), text("cli.logs.searching")
    for day in list_days(folder / "day"):
        if not query.may_be_in(day):
            continue
        number = 0
        try:
            for batch in DayLines(day.path):
                if bar and (first := _INDEX.match(batch[0])):
                    bar(label, int(first[1]), total)
                for raw in batch:
                    number += 1
                    if may_hold(raw) and query.accepts(raw) and _holds(orjson.loads(raw), folded):
                        yield raw
        except (BadLine, DamagedDay) as error:
            raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def quick_test(words: str) -> Callable[[bytes], bool]:
    """Return a test whether a line may hold the text, from its bytes alone; it rules out most lines."""
    written = orjson.dumps(words)[1:-1]  # as it stands in the line
    if written.isascii() or words.lower() == words.upper():
        pattern = re.compile(re.escape(written), re.IGNORECASE)  # of bytes: ASCII letters only
        return lambda raw: pattern.search(raw) is not None
    folded = written.decode().casefold()
    return lambda raw: folded in raw.decode("utf-8", "replace").casefold()


def _holds(value: Any, folded: str) -> bool:
    """Tell whether the text stands in any value; names of members do not count."""
    match value:
        case str():
            return folded in value.casefold()
        case dict():
            return any(_holds(item, folded) for name, item in value.items() if name not in ("s", "c"))
        case list():
            return any(_holds(item, folded) for item in value)
        case _:
            return False


def _size(folder: Path) -> int:
    """Return roughly how many records there are, for the bar only."""
    try:
        return int((folder / "checkpoint").read_text("utf-8").split("\n")[1])
    except (OSError, ValueError, IndexError):
        return 0
