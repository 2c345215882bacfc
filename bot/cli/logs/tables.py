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
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.cli.terminal.progress import Bar
from moderation.values.errors import Refused

from .old_events import StoredEvents, compare

if TYPE_CHECKING:
    from storage.database.place import DatabasePlace
    from storage.database.plain import PlainTables

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


def differences(place: "DatabasePlace", bar: Bar | None) -> list[TableDifference]:
    """Compare all tables that come from records.

    Raises `Refused` if the database cannot be read, `Invalid` if it still has an older schema.
    """
    from storage.database.database import refuse_other_schema
    from storage.database.place import DatabasePlace
    from storage.journal.reader import Log
    from storage.scratch import scratch_folder

    from .rebuild import fill, read_old

    old = read_old(place, settled=False)
    if old.applied is None:
        raise Refused("cli.logs.tables_unreadable", file=place)
    refuse_other_schema(place)
    with scratch_folder(place.data_dir) as folder:
        made = DatabasePlace(folder)
        asyncio.run(fill(made, place.data_dir / "records", old, bar))
        starts = Log(place.data_dir / "records").starts()
        return list(_compare(place, made, purged=bool(starts) and starts[0][1] > 0))


def _compare(stored: "DatabasePlace", made: "DatabasePlace", *, purged: bool) -> list[TableDifference]:
    from storage import schema
    from storage.database.plain import reading

    found: list[TableDifference] = []
    with reading(stored) as ours, reading(made) as rebuilt:
        for table in schema.metadata.sorted_tables:
            if table.name in _NOT_OF_RECORDS | _OF_EVENTS:
                continue
            names = [column.name for column in table.columns]
            there, wanted = (Counter(_rows(each, table.name, names)) for each in (ours, rebuilt))
            found += [TableDifference(table.name, row, True) for row in sorted((there - wanted).elements())]
            found += [TableDifference(table.name, row, False) for row in sorted((wanted - there).elements())]
        found += [
            TableDifference(table, _written(row), is_stored)
            for table, row, is_stored in sorted(
                compare(_events(ours), _each(rebuilt, "events"), purged=purged), key=str
            )
        ]
    return found


def _events(tables: "PlainTables") -> StoredEvents:
    from storage.projections import EVENTS_LEFT, LeftEvents

    rows = tables.tuples("SELECT value FROM meta WHERE key = ?", EVENTS_LEFT)
    left = LeftEvents.parse(rows[0][0]) if rows else LeftEvents()
    events, old, spoke = (_each(tables, name) for name in ("events", "old_events", "spoke"))
    return StoredEvents(events, old, spoke, left.stop, left.bot)


def _rows(tables: "PlainTables", table: str, names: list[str]) -> list[str]:
    return [_written({name: row[name] for name in names}) for row in _each(tables, table)]


def _each(tables: "PlainTables", table: str) -> list[dict[str, Any]]:
    rows = tables.rows(f'SELECT * FROM "{table}"')  # noqa: S608  (it is a name of ours)
    return [{name: _held(value) for name, value in row.items()} for row in rows]


def _held(value: object) -> object:
    """Return a value as PostgreSQL holds it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _written(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())
