"""A whole deployment's tables, copied from files of SQLite to PostgreSQL or the other way.

Rules kept here:
- What is read is of one moment, on either side.
- Nothing of the target counts before the caller ends its transaction, or gives the files their names.

Left to others: one table (`copying.py`), where the copy goes and when it counts (`to_server.py`, `to_files.py`).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.database import sqlite
from storage.database.fence import Epoch
from storage.database.place import FILE, DatabasePlace
from storage.database.postgresql_small_store import PostgresqlSmallStore
from storage.database.small_store import open_small_store
from storage.journal import disk

from .copying import Counter, Progress, copy_tables
from .file_tables import FileTables
from .fingerprint import Fingerprint
from .server_tables import ServerTables
from .shapes import TableShape, small_shape, state_shapes
from .stores import CopiedStore

if TYPE_CHECKING:
    import psycopg

Copied = dict[str, Fingerprint]  # "state.rooms" -> its rows
STATE = "state"


def files_to_server(
    data_dir: Path,
    connection: "psycopg.Connection[Any]",
    place: DatabasePlace,
    stores: Sequence[CopiedStore],
    report: Progress,
) -> Copied:
    """Copy the files in `data_dir` into tables that are there; what was in these is gone.

    Part of the caller's transaction. Raises `Broken` if a copy differs from what was read.
    """
    copied: Copied = {}
    with _counted(data_dir, stores, report) as counter:
        target = ServerTables(connection, place.schema)
        _clear(target, state_shapes())
        with closing(FileTables.to_read(data_dir / FILE)) as source:
            copied |= _named(STATE, copy_tables(source, target, state_shapes(), counter))
        for store in stores:
            shapes, target = _shapes(store), ServerTables(connection, store.where.schema)
            _clear(target, shapes)
            with closing(FileTables.to_read(store.file_in(data_dir))) as source:
                copied |= _named(store.where.name, copy_tables(source, target, shapes, counter))
                _within(connection, store).set_version(source.version())
    return copied


def server_to_files(
    connection: "psycopg.Connection[Any]",
    place: DatabasePlace,
    folder: Path,
    stores: Sequence[CopiedStore],
    report: Progress,
    *,
    state: bool,
) -> Copied:
    """Copy small stores, and the state tables if `state`, into new files in `folder`, durable on return.

    Reads in the caller's transaction, which must be a snapshot. Raises `Broken` if a copy differs from what was read.
    """
    tables, copied = ServerTables(connection, place.schema), Copied()
    sources = {store.where.name: ServerTables(connection, store.where.schema) for store in stores}
    total = _count(tables, state_shapes()) if state else 0
    counter = Counter(total + sum(_count(sources[each.where.name], _shapes(each)) for each in stores), report)
    if state:
        sqlite.migrate(folder / FILE)
        copied = _filled(tables, folder / FILE, STATE, state_shapes(), counter)
    for store in stores:
        path, name = store.file_in(folder), store.where.name
        _make(store.at(DatabasePlace(folder)), _within(connection, store).version)
        copied |= _filled(sources[name], path, name, _shapes(store), counter)
    return copied


def make_on_server(place: DatabasePlace, stores: Sequence[CopiedStore], epoch: Epoch) -> None:
    """Make the tables of small stores, empty, in the name of the leader."""
    for store in stores:
        _make(store.at(place), None, epoch)


def _make(store: CopiedStore, version: int | None, epoch: Epoch | None = None) -> None:
    made = open_small_store(store.where, epoch)
    try:
        with made.transaction():
            made.create(store.tables)
            if version is not None:
                made.set_version(version)
    finally:
        made.close()


def _within(connection: "psycopg.Connection[Any]", store: CopiedStore) -> PostgresqlSmallStore:
    """Return a store for the rest of the caller's transaction."""
    connection.execute(f'SET LOCAL search_path = "{store.where.schema}"')
    return PostgresqlSmallStore(connection, store.where.schema, None)


def _filled(source: ServerTables, path: Path, name: str, shapes: Sequence[TableShape], counter: Counter) -> Copied:
    with closing(FileTables.to_fill(path)) as target:
        copied = copy_tables(source, target, shapes, counter)
        target.commit()
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    disk.sync_directory(path.parent)
    return _named(name, copied)


@contextmanager
def _counted(data_dir: Path, stores: Sequence[CopiedStore], report: Progress) -> Iterator[Counter]:
    with closing(FileTables.to_read(data_dir / FILE)) as state:
        total = _count(state, state_shapes())
    for store in stores:
        with closing(FileTables.to_read(store.file_in(data_dir))) as tables:
            total += _count(tables, _shapes(store))
    yield Counter(total, report)


def _count(tables: FileTables | ServerTables, shapes: Sequence[TableShape]) -> int:
    return sum(tables.count(shape) for shape in shapes if tables.has(shape))


def _clear(tables: ServerTables, shapes: Sequence[TableShape]) -> None:
    for shape in reversed(shapes):
        tables.clear(shape)


def _shapes(store: CopiedStore) -> list[TableShape]:
    return [small_shape(table) for table in store.tables]


def _named(store: str, found: dict[str, Fingerprint]) -> Copied:
    return {f"{store}.{table}": each for table, each in found.items()}
