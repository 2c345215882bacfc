"""The part of `logs verify --tables` that compares the database with the records.

The tables are rebuilt from the journal, in a temporary folder, and each row is looked for on both sides. A row that was
forged, changed or removed in the database is named.

Rules kept here:
- Nothing of the data is changed.
- Records that the database has not applied yet are left out.
- While the bot runs, what it commits meanwhile may look like a difference; a second run does not show it.

Left to others: making the tables (`rebuild.py`).
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.cli.terminal.progress import Bar
from moderation.values.errors import Refused

from .old_events import StoredEvents, compare

# Not held by the records: how far the homeserver was read, what is to be sent, expected answers.
_NOT_OF_RECORDS = frozenset(
    {
        "meta",
        "outbox",
        "gaps",
        "gap_pages",
        "gap_events",
        "challenges",
        "challenge_attempts",
        "link_requests",
        "alembic_version",
    }
)
_OF_EVENTS = frozenset({"events", "old_events", "spoke"})  # compared by `old_events.py`
MOST = 20


@dataclass(frozen=True, slots=True)
class TableDifference:
    """A row that only one side has. `is_stored`: it stands in the database, and the records know nothing of it."""

    table: str
    row: str
    is_stored: bool


def differences(data: Path, bar: Bar | None) -> list[TableDifference]:
    """Compare all tables that come from records.

    Raises `Refused` if the database cannot be read, `Invalid` if it still has an older schema.
    """
    from storage.database.place import FILE
    from storage.database.sqlite import refuse_other_schema
    from storage.journal.reader import Log
    from storage.scratch import scratch_folder

    from .rebuild import fill, read_old

    old = read_old(data / FILE, settled=False)
    if old.applied is None:
        raise Refused("cli.logs.tables_unreadable", file=data / FILE)
    refuse_other_schema(data / FILE)
    with scratch_folder(data) as folder:
        asyncio.run(fill(folder, data / "records", old, bar))
        starts = Log(data / "records").starts()
        return list(_compare(data / FILE, folder / FILE, purged=bool(starts) and starts[0][1] > 0))


def _compare(stored: Path, made: Path, *, purged: bool) -> list[TableDifference]:
    from storage import schema

    found: list[TableDifference] = []
    with closing(_reading(stored)) as ours, closing(_reading(made)) as anew:
        for table in schema.metadata.sorted_tables:
            if table.name in _NOT_OF_RECORDS | _OF_EVENTS:
                continue
            names = [column.name for column in table.columns]
            there, wanted = (Counter(_rows(each, table.name, names)) for each in (ours, anew))
            found += [TableDifference(table.name, row, True) for row in sorted((there - wanted).elements())]
            found += [TableDifference(table.name, row, False) for row in sorted((wanted - there).elements())]
        found += [
            TableDifference(table, _written(row), is_stored)
            for table, row, is_stored in sorted(compare(_events(ours), _each(anew, "events"), purged=purged), key=str)
        ]
    return found


def _events(database: sqlite3.Connection) -> StoredEvents:
    from storage.projections import EVENTS_LEFT, LeftEvents

    row = database.execute("SELECT value FROM meta WHERE key = ?", (EVENTS_LEFT,)).fetchone()
    left = LeftEvents.parse(row[0]) if row is not None else LeftEvents()
    events, old, spoke = (_each(database, name) for name in ("events", "old_events", "spoke"))
    return StoredEvents(events, old, spoke, left.stop, left.bot)


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def _rows(database: sqlite3.Connection, table: str, names: list[str]) -> list[str]:
    columns = ", ".join(f'"{name}"' for name in names)
    rows = database.execute(f'SELECT {columns} FROM "{table}"')  # noqa: S608  (both are names of ours)
    return [_written(dict(zip(names, row, strict=True))) for row in rows]


def _each(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608  (it is a name of ours)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _written(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())
