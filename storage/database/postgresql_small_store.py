"""A small store in PostgreSQL: a schema of its own beside the tables of its shard.

Rules kept here:
- A transaction begins with the check of the leader's epoch, in the same message as BEGIN: a former leader changes
  nothing. Outside of a transaction nothing can be changed at all.
- When `transaction` ends, its changes are on the server's disk, whatever the server's own setting is.
- U+0000, which PostgreSQL's texts cannot hold, becomes U+FFFD in every value, written or looked for.
- Nothing is tried again: after a lost connection nobody knows whether a commit was carried out.

Left to others: what each method is for (`small_store.py`), who leads (`leadership.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from moderation.values.errors import Broken

from .fence import Epoch, is_superseded, literal
from .owners import refuse_foreign
from .place import DatabasePlace
from .refusals import is_of_driver, refusal_of, said
from .server import NAME, connect
from .server_seen import ServerSeen, server_of
from .small_tables import Column, SmallTable, numbers, quoted

if TYPE_CHECKING:
    import psycopg

    Session = psycopg.Connection[tuple[Any, ...]]
    Cursor = psycopg.Cursor[tuple[Any, ...]]

_KINDS = {"TEXT": 'text COLLATE "C"', "INTEGER": "bigint", "BLOB": "bytea"}
_VERSION = SmallTable("version", (Column("one", "INTEGER", "NOT NULL CHECK (one = 1)"), *numbers("number")), ("one",))
_SETTINGS = (
    "SET search_path = {schema}; SET default_transaction_read_only = on;"
    " SET idle_in_transaction_session_timeout = '10s'"
)


class PostgresqlSmallStore:
    """A store in one schema. Make it with `open`."""

    def __init__(self, session: "Session", schema: str, epoch: Epoch | None) -> None:
        self._session = session
        self._schema = schema
        self._epoch = epoch
        self._begin = f"BEGIN READ WRITE; {epoch.check_sql}" if epoch else ""

    @classmethod
    def open(cls, place: DatabasePlace, schema: str, epoch: Epoch | None) -> "PostgresqlSmallStore":
        """Open the store in `schema`, or create it for the leader of `epoch`.

        Without an epoch nothing can be changed. Raises `OSError`, `Superseded`, or `DatabaseRefused` if another account
        owns what is there.
        """
        with _failures(epoch):
            connection = connect(place, durable=True, name=epoch.application_name if epoch else NAME)
        store = cls(connection, schema, epoch)
        try:
            with _failures(epoch):
                refuse_foreign(connection, place, place.schema)
            store.execute(_SETTINGS.format(schema=literal(schema)))
            if epoch and not store.exists():
                with store.transaction():
                    store.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
                    refuse_foreign(connection, place, place.schema)
                    store.create((_VERSION,))
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open_to_read(cls, place: DatabasePlace, schema: str) -> "PostgresqlSmallStore | None":
        """Open a store without the right to change it; return None if there is none. Raises `OSError`."""
        store = cls.open(place, schema, None)
        if store.exists():
            return store
        store.close()
        return None

    @classmethod
    def names_in(cls, place: DatabasePlace, before: str) -> list[str]:
        """Return the names of the stores' schemas that begin with `before`, without it. Raises `OSError`."""
        with closing(cls.open(place, before, None)) as store:
            query = "SELECT schemaname FROM pg_catalog.pg_tables WHERE tablename = 'version' ORDER BY 1"
            found = [str(schema) for (schema,) in store.execute(query)]
        return [schema.removeprefix(before) for schema in found if schema.startswith(before)]

    def exists(self) -> bool:
        """Tell whether the store was created."""
        return self.has(_VERSION)

    def execute(self, sql: str, values: Sequence[object] = ()) -> "Cursor":
        """Execute one statement."""
        with _failures(self._epoch):
            if not values:
                return self._session.execute(sql, prepare=False)  # it may be several statements
            return self._session.execute(_translated(sql), _storable(values))

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for each row, without waiting for each."""
        with _failures(self._epoch), self._session.cursor() as cursor:
            cursor.executemany(_translated(sql), map(_storable, rows))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make changes in this block."""
        if self._epoch is None:
            raise Broken("this store was opened for reading only")
        try:
            self.execute(self._begin)
            yield
            if self.execute("COMMIT").statusmessage != "COMMIT":
                raise Broken("a transaction went on after an error: it was undone")
        except BaseException:
            with suppress(Exception):  # the server undoes what it is not told to keep
                self._session.execute("ROLLBACK")
            raise

    def create(self, tables: Iterable[SmallTable]) -> None:
        """Create those of the tables that are missing."""
        for table in tables:
            if not self.has(table):
                columns = ", ".join([*map(_column, table.columns), f"PRIMARY KEY ({quoted(table.key)})"])
                self.execute(f'CREATE TABLE "{table.name}" ({columns})')
                for index in table.indexes:
                    self.execute(index.create(table))

    def has(self, table: SmallTable) -> bool:
        """Tell whether this table exists."""
        query = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = ? AND tablename = ?"
        return self.execute(query, (self._schema, table.name)).fetchone() is not None

    @property
    def version(self) -> int:
        """The version of the tables."""
        row = self.execute("SELECT number FROM version").fetchone()
        return int(row[0]) if row else 0

    def set_version(self, version: int) -> None:
        """Note the version of the tables."""
        self.execute(_VERSION.put(), (1, version))

    def server(self) -> ServerSeen | None:
        """Return the server of the store; None if it does not say which it is."""
        with _failures(self._epoch):
            return server_of(self._session)

    def close(self) -> None:
        """End the session."""
        self._session.close()


@contextmanager
def _failures(epoch: Epoch | None) -> Iterator[None]:
    """Raise what the server or the connection cannot do as `OSError`, and the end of the epoch as `Superseded`."""
    try:
        yield
    except Exception as error:
        if epoch is not None and is_superseded(error):
            raise epoch.superseded() from error
        if is_of_driver(error) and refusal_of(error) is not None:
            raise OSError(said(error)) from error
        raise


def _storable(values: Sequence[object]) -> list[object]:
    return [value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value for value in values]


@lru_cache(1_000)
def _translated(sql: str) -> str:
    """Return a statement with the driver's marks for values; no literal of ours holds a question mark."""
    return sql.replace("%", "%%").replace("?", "%s")


def _column(column: Column) -> str:
    return f'"{column.name}" {_KINDS[column.kind]} {column.more}'.rstrip()
