"""The checks of the state database: a file, or a PostgreSQL server.

Rules kept here:
- It only reads.
- What is made at the first start does not count as missing before it.

Left to others: asking the server (`storage/database/server_state.py`).
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.cli.access.lookup import query_database
from bot.cli.terminal.output import why_of
from moderation.values.errors import AnswerableError
from moderation.values.notices import Span
from storage.database.place import FILE

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.database.place import DatabasePlace

SLOW_MS = 5.0  # a round trip; a message takes about 40 of them


def database_findings(place: "DatabasePlace") -> Iterator[Finding]:
    """Yield all findings about the database, and whether the records that it knows are there."""
    try:
        if place.url:
            yield from _server(place)
        yield from _tables(place)
    except AnswerableError as error:
        key = "server_refused" if place.url else "database_refused"
        yield problem("database", key, why=why_of(error))


def _server(place: "DatabasePlace") -> Iterator[Finding]:
    from storage.database.server_state import state_of

    state = state_of(place)
    yield ok("database", "server", where=place, version=state.version)
    for name, value in state.unsafe:
        yield problem("database", "server_unsafe", setting=name, value=value)
    if state.is_standby:
        yield problem("database", "server_standby", where=place)
    if not state.may_make or state.closed:
        yield problem("database", "server_rights", where=place)
    for schema in state.left:
        yield warning("database", "server_left", where=place, schema=schema)
    yield from _standbys(place)
    took = f"{state.round_trip_ms:.1f}"
    if state.round_trip_ms > SLOW_MS:
        yield warning("database", "server_far", took=took)
    else:
        yield ok("database", "server_near", took=took)


def _standbys(place: "DatabasePlace") -> Iterator[Finding]:
    """Yield what is wrong with the machines that follow."""
    from bot.leading.lead import who_leads

    _, found = who_leads(place)
    for each in found:
        if each.unfinished:
            yield problem("database", "standby_unfinished", who=each.who, why=each.unfinished)
        if not each.is_there:
            yield warning("database", "standby_silent", who=each.who, silent=Span(int(each.silent_s) * 1000))


def _tables(place: "DatabasePlace") -> Iterator[Finding]:
    from storage.database.database import is_there, refuse_other_schema
    from storage.database.moved import refuse_moved

    refuse_moved(place)
    yield from _left(place)
    journal = (place.data_dir / "records" / "log.vkey").exists()
    if not is_there(place):
        later = "server_later" if place.url else "database_later"
        missing = "server_missing" if place.url else "database_missing"
        yield problem("database", missing, file=place) if journal else ok("database", later, file=place)
        return
    refuse_other_schema(place)
    applied = asyncio.run(query_database(place, _applied))
    yield ok("database", "database", file=place, records=applied)
    if journal:
        yield ok("records", "journal", folder=place.data_dir / "records")
    elif place.url:
        yield ok("records", "journal_later", folder=place.data_dir / "records")
    elif applied:
        yield problem("records", "journal_missing", folder=place.data_dir / "records", records=applied)


def _left(place: "DatabasePlace") -> Iterator[Finding]:
    """Yield a warning for each copy on this machine that nothing uses and no erasure reaches."""
    if place.url and place.file.exists():
        yield warning("database", "files_left", file=place.file)
    for file in sorted(place.data_dir.glob(f"{FILE}.before-rebuild-*")):
        if not file.name.endswith(("-wal", "-shm")):
            yield warning("database", "files_left", file=file)


async def _applied(db: "AsyncConnection") -> int:
    """Return how many records the database has applied."""
    from storage import queries

    return int(await queries.get_meta(db, "applied") or 0)


def other_rooms(place: "DatabasePlace") -> frozenset[str]:
    """Return the rooms of the bot that are no groups; none without a usable database."""
    from storage import queries

    try:
        return asyncio.run(query_database(place, queries.other_rooms))
    except AnswerableError:
        return frozenset()
