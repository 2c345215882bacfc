"""The state database on PostgreSQL, migrated by Alembic.

Rules kept here:
- The tables of a shard stand in a schema of its own, and are named without it.
- A leader makes, migrates or swaps them in its epoch only, in sessions that the next leader ends.
- They are made as `storage.schema` says, or migrated, whole or not at all; of two starts, one waits for the other.
- A server that is too old, or whose encoding cannot hold every text, is refused before anything is made.
- Nothing is shown of the account.
- What another account owns is refused before it is used (`owners.py`).

Left to others: sessions (`server.py`), statements (`psycopg_driver.py`), transactions (`database.py`), what an error
means (`refusals.py`).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from storage.schema import metadata

from .fence import Epoch, is_superseded
from .owners import refuse_foreign
from .place import DatabasePlace
from .refusals import NewerDatabase, refusal_of, refused
from .schemas import NOTED, alembic_config, schemas
from .server import NAME, connect, connect_async, driver
from .vacuuming import LARGE, vacuum_soon

if TYPE_CHECKING:
    from psycopg import Connection as Sync
    from psycopg import ConnectionInfo
    from sqlalchemy.engine import Connection as Migrating

    from .psycopg_driver import PostgresqlEngine

LEAST = 14  # of PostgreSQL
_ENCODING = "UTF8"


def engine_of(place: DatabasePlace, *, read_only: bool, epoch: Epoch | None = None) -> "PostgresqlEngine":
    """Return the engine of a database; nothing is opened yet."""
    driver()
    from .psycopg_driver import AdaptedConnection, new_engine

    name = epoch.application_name if epoch else NAME
    opened = partial(connect_async, place, read_only=read_only, name=name, kind=AdaptedConnection)
    return new_engine(opened, epoch.check_sql if epoch else None)


@contextmanager
def connected(
    place: DatabasePlace, *, read_only: bool = True, durable: bool = False, name: str = NAME
) -> "Iterator[Sync[tuple[object, ...]]]":
    """Yield a connection, for a thread. Raises `DatabaseRefused` if the server or the database cannot be used."""
    psycopg = driver()
    try:
        with connect(place, read_only=read_only, durable=durable, name=name) as connection:
            _refuse_server(connection.info, place)
            refuse_foreign(connection, place, place.schema)
            yield connection
    except psycopg.Error as error:
        refusal = refusal_of(error, place)
        if refusal is None:
            raise
        raise refusal from error


@contextmanager
def changing(place: DatabasePlace, epoch: Epoch | None) -> "Iterator[Sync[tuple[object, ...]]]":
    """Yield a connection in one durable transaction of the leader, if there is one.

    Raises `Superseded` if another process leads by now, or `DatabaseRefused`.
    """
    name = epoch.application_name if epoch else NAME
    with connected(place, read_only=False, durable=True, name=name) as connection:
        try:
            with connection.transaction():
                if epoch:
                    connection.execute(epoch.check_sql)
                yield connection
        except Exception as error:
            if epoch and is_superseded(error):
                raise epoch.superseded() from error
            raise


def _refuse_server(info: "ConnectionInfo", place: DatabasePlace) -> None:
    """Raise `DatabaseRefused` if the server is too old, or if the database cannot hold every text."""
    if info.server_version < LEAST * 10_000:
        raise refused("old_server", place, version=info.server_version // 10_000, least=LEAST)
    encoding = info.parameter_status("server_encoding")
    if encoding != _ENCODING:
        raise refused("encoding", place, encoding=encoding)


def is_there(place: DatabasePlace) -> bool:
    """Tell whether the tables have been made. Raises `DatabaseRefused` if the server cannot be asked."""
    return schema_of(place) is not None


def schema_of(place: DatabasePlace) -> str | None:
    """Return the schema of the tables, as Alembic notes it; None if there are none yet.

    Raises `DatabaseRefused` if the server cannot be asked.
    """
    with connected(place) as connection:
        return _schema_of(connection, place)


def _schema_of(connection: "Sync[tuple[object, ...]]", place: DatabasePlace) -> str | None:
    noted = connection.execute("SELECT to_regclass(%s)::text", [f'"{place.schema}".alembic_version']).fetchone()
    if noted is None or noted[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def refuse_other_schema(place: DatabasePlace, *, only_newer: bool = False) -> None:
    """Raise `DatabaseRefused` if this program cannot read the tables as they are."""
    found = schema_of(place)
    if found is None:
        raise refused("empty", place)
    _refuse_newer(found, place)
    if not only_newer and found != schemas()[-1]:
        raise refused("older", place)


def commits_of(place: DatabasePlace) -> object:
    """Return what changes with each commit of the bot. Raises `DatabaseRefused` if there are no tables."""
    with connected(place) as connection:
        if _schema_of(connection, place) is None:
            raise refused("empty", place)
        return connection.execute("SELECT key, value, xmin::text FROM meta ORDER BY key").fetchall()


def _refuse_newer(found: str | None, place: DatabasePlace) -> None:
    if found is not None and found > schemas()[-1]:
        raise NewerDatabase("database.newer", where=str(place), schema=found)


def migrate(place: DatabasePlace, epoch: Epoch | None = None) -> None:
    """Make the tables, or bring them to the newest schema, for the leader of `epoch`.

    Raises `DatabaseRefused` if that is not possible, `Superseded` if another process leads by now.
    """
    with connected(place, read_only=False) as connection:
        found = _schema_of(connection, place)
        _refuse_newer(found, place)
    if found == schemas()[-1]:
        with changing(place, epoch) as connection:
            _continue_numbers(connection)
            vacuum_soon(connection, place.schema, LARGE)
        return
    with _migrating(place, epoch) as connection:
        if epoch:  # first: the next leader cannot begin before this transaction has ended, or was ended
            connection.exec_driver_sql(epoch.check_sql)
        _brought_up(connection, place)
        vacuum_soon(connection.connection.driver_connection, place.schema, LARGE)


def _continue_numbers(connection: "Sync[tuple[object, ...]]") -> None:
    """Let every sequence continue after the largest number in its table.

    A database made from a template, or restored by rows, may have a sequence that is behind. Its numbers would meet
    those of rows that are there, and INSERT ... ON CONFLICT DO NOTHING would drop the new rows without a word.
    """
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None or column.autoincrement is not True:
            continue
        [sequence] = connection.execute(
            "SELECT pg_get_serial_sequence(%s, %s)", (table.name, column.name)
        ).fetchone() or [None]
        if sequence is not None:
            newest = f"greatest((SELECT last_value FROM {sequence}), (SELECT max({column.name}) FROM {table.name}))"  # noqa: S608 - names of ours
            connection.execute(f"SELECT setval('{sequence}', {newest})".encode())


@contextmanager
def _migrating(place: DatabasePlace, epoch: Epoch | None) -> "Iterator[Migrating]":
    """Yield a connection in one transaction, in which statements may take as long as they need."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    from .postgresql_types import TABLES

    name = epoch.application_name if epoch else NAME
    engine = create_engine(
        f"postgresql+{TABLES}://",
        creator=partial(_for_changes, place, name),
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
    )
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        if epoch and is_superseded(error):
            raise epoch.superseded() from error
        refusal = refusal_of(error, place)
        if refusal is None:
            raise
        raise refusal from error
    finally:
        engine.dispose()


def _for_changes(place: DatabasePlace, name: str) -> "Sync[tuple[object, ...]]":
    connection = connect(place, durable=True, patient=True, name=name)
    connection.set_autocommit(False)
    return connection


def _brought_up(connection: "Migrating", place: DatabasePlace) -> None:
    """Make or migrate the tables under a lock: another process that starts waits here, and finds them made."""
    from sqlalchemy import text as sql

    key = int.from_bytes(hashlib.sha256(place.schema.encode()).digest()[:8], "big", signed=True)
    connection.execute(sql("SET LOCAL lock_timeout = 0"))
    connection.execute(sql("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    noted = connection.scalar(sql("SELECT to_regclass(:name)::text"), {"name": f'"{place.schema}".alembic_version'})
    found = connection.scalar(sql("SELECT version_num FROM alembic_version")) if noted else None
    _refuse_newer(found, place)
    if found is None:
        _make(connection, place)
    elif found != schemas()[-1]:
        from alembic import command

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, schemas()[-1])


def _make(connection: "Migrating", place: DatabasePlace) -> None:
    from sqlalchemy import text as sql
    from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable

    connection.execute(CreateSchema(place.schema, if_not_exists=True))
    refuse_foreign(connection.connection.driver_connection, place, place.schema)
    others = sql("SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = :name AND tablename = ANY(:ours)")
    tables = metadata.sorted_tables
    if connection.scalar(others, {"name": place.schema, "ours": [table.name for table in tables]}):
        raise refused("others", place, schema=place.schema)
    for table in tables:
        connection.execute(CreateTable(table))
    for index in sorted((index for table in tables for index in table.indexes), key=attrgetter("name")):
        connection.execute(CreateIndex(index))
    connection.execute(sql(NOTED))
    connection.execute(sql("INSERT INTO alembic_version VALUES (:newest)"), {"newest": schemas()[-1]})
