"""`answerable logs coverage`: what the bot did not see, by room and time, and why; and when it did not run.

It tells no content, so no reason is needed. ``--json``: an object with the keys `unseen` (objects with `room` (group
code, or null), `what`, `code` (of "undecryptable": why, as known by now; else null), `count` (of "down": minutes),
`first` and `last` (times), `records` (numbers of the records that say so)) and `off` (objects with `from` and `to`
(times, or null where not known) and `stopped`: in good order). What could be read later is not listed.

Left to others: finding it (`storage/journal/coverage.py`).
"""

from functools import partial
from typing import TYPE_CHECKING

from bot.cli.access.access_reason import DataDir, Room, Since, Until, data_dir_of, moment_of, query_of
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile
from bot.cli.terminal.output import as_json, say, text
from bot.cli.terminal.progress import progress
from bot.texts.catalog import Catalog

if TYPE_CHECKING:
    from storage.journal.coverage import Off, Unseen


def coverage(
    room: Room = None,
    since: Since = None,
    until: Until = None,
    json: AsJson = False,
    data_dir: DataDir = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell what was not seen."""
    from storage.journal.coverage import coverage_of

    folder, now = data_dir_of(data_dir, config_file) / "records", now_ms()
    query = query_of(folder, room, None, (), moment_of(since, now), moment_of(until, now))
    with progress() as bar:
        found = coverage_of(folder, query, partial(bar, text("cli.logs.looking")))
    if json:
        as_json(found.as_json())
        return
    for row in found.unseen:
        say("cli.logs.unseen_row", room=row.room or "-", what=_why(row), count=row.count, when=_when(row),
            record=str(row.records[0]))  # fmt: skip
    for off in found.off:
        _tell_off(off)
    if not found.unseen:
        say("cli.logs.unseen_none")


def _why(row: "Unseen") -> str:
    known, key = Catalog.load(), f"cli.logs.unseen.{row.what}"
    what = text(key) if known.has(key) else row.what
    if row.code in (None, "-"):
        return what
    key = f"cli.logs.sealed.{row.code.removeprefix('m.').replace('_', '-')}"
    return text("cli.logs.unseen_because", what=what, why=text(key) if known.has(key) else row.code)


def _when(row: "Unseen") -> str:
    first, last = _minute(row.first), _minute(row.last)
    return first if first == last else f"{first} - {last[11:]}"


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def _tell_off(off: "Off") -> None:
    until = _minute(off.until) if off.until else ""
    if off.since is None:
        say("cli.logs.off_died", until=until)
    elif off.until is None:
        say("cli.logs.off_still", since=_minute(off.since))
    else:
        say("cli.logs.off", since=_minute(off.since), until=until)
