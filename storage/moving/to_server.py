"""The move from SQLite's files to PostgreSQL.

Rules kept here:
- Everything is copied in one transaction: until it ends, PostgreSQL has nothing.
- The files stay as they are. They are marked once PostgreSQL has everything for certain; a move that is killed before
  that leaves them the ones in use, and can be begun again.
- A database that a bot has used is never overwritten.
- The lines of the log are not copied: the start brings them into their table (`storage/journal/level.py`).

Left to others: rows (`whole.py`), who may start where (`storage/database/moved.py`).
"""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from storage.database import postgresql, sqlite
from storage.database.fence import Epoch
from storage.database.moved import Move, last_move, note_move
from storage.database.place import DatabasePlace
from storage.database.refusals import refused
from storage.database.server import NAME
from storage.journal.postgresql_lines import PostgresLines

from .copying import Progress
from .file_mark import note_files_left
from .server_tables import ServerTables
from .session import connected
from .shapes import state_shapes
from .stores import MADE_AT_START, CopiedStore, DeviceStores, stores_of
from .whole import Copied, files_to_server, make_on_server

if TYPE_CHECKING:
    import psycopg


def move_to_server(place: DatabasePlace, epoch: Epoch, devices: DeviceStores, now_ms: int, report: Progress) -> Copied:
    """Move the files in the data directory of `place` to its database, which the caller leads in this epoch.

    Raises `Invalid`, `Refused` or `Broken`; then the files are still the ones in use.
    """
    sqlite.refuse_other_schema(place.file)
    stores = [store.at(place) for store in stores_of(DatabasePlace(place.data_dir, shard=place.shard), devices)]
    with connected(place, epoch.application_name) as connection:
        _refuse_used(connection, place)
        postgresql.migrate(place, epoch)
        make_on_server(place, stores, epoch)
        copied = _copied(connection, place, stores, epoch, now_ms, report)
        note_files_left(place.data_dir, str(place), now_ms)
    return copied


def _copied(
    connection: "psycopg.Connection[Any]",
    place: DatabasePlace,
    stores: Sequence[CopiedStore],
    epoch: Epoch,
    now_ms: int,
    report: Progress,
) -> Copied:
    with connection.transaction():
        connection.execute(epoch.check_sql)
        copied = files_to_server(place.data_dir, connection, place, stores, report)
        connection.execute(f'DROP SCHEMA IF EXISTS "{place.schema}${MADE_AT_START}" CASCADE')  # of an earlier stay
        note_move(connection, place, Move("in", secrets.token_hex(8), now_ms))
    return copied


def refuse_anything(place: DatabasePlace) -> None:
    """Raise `DatabaseRefused` if there is anything of a deployment in the database, even a copy that was left."""
    with connected(place, NAME) as connection:
        tables = ServerTables(connection, place.schema)
        if any(tables.has(shape) and tables.count(shape) for shape in state_shapes()) or _has_log(connection, place):
            raise refused("not_empty", place)


def _has_log(connection: "psycopg.Connection[Any]", place: DatabasePlace) -> bool:
    there = connection.execute("SELECT to_regclass('answerable_shared.log')::text").fetchone()
    return bool(there and there[0]) and PostgresLines(connection, place.shard).end() > 0


def _refuse_used(connection: "psycopg.Connection[Any]", place: DatabasePlace) -> None:
    """Raise `DatabaseRefused` if there is something in the database that is not an unused or a left copy."""
    last = last_move(connection, place)
    if last is not None and last.way in ("in", "out"):
        return
    tables = ServerTables(connection, place.schema)
    if any(tables.has(shape) and tables.count(shape) for shape in state_shapes()):
        raise refused("not_empty", place)
