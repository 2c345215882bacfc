"""`answerable logs search`: find what people wrote, over all days.

As the content is shown, ``--reason`` is needed, and noted before anything is printed. Results are printed as they are
found, oldest first. ``--json``: the lines as they stand.

Left to others: where the text is looked for (`storage/journal/search.py`), the form of a record (`line_format.py`).
"""

from collections import deque
from functools import partial
from typing import Annotated

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
    given,
    leave_note,
    moment_of,
    place_of,
    query_of,
)
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.terminal.output import tell, text
from bot.cli.terminal.progress import progress
from moderation.values.errors import Invalid

from .line_format import print_record
from .words import wording_of


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
    from storage.journal.search import matching

    place, now = place_of(data_dir, config_file), now_ms()
    data = place.data_dir
    if not words.strip():
        raise Invalid(text("cli.logs.bad_words"))
    query = query_of(data / "records", room, person, kind or [], moment_of(since, now), moment_of(until, now))
    asked = given(what="search", text=words, room=room, person=person, kind=kind, since=since, until=until)
    leave_note(data, reason, now, asked)
    count, wording = 0, None
    if not (raw or json):
        wording = wording_of(place, None if data_dir else config_file, now, content=True)
    with progress() as bar:
        found = matching(data / "records", query, words, partial(bar, text("cli.logs.searching")))
        for line in deque(found, maxlen=last) if last else found:
            print_record(line, wording, content=True, json=json)
            count += 1
    if not json:
        tell("cli.logs.found", count=count)
