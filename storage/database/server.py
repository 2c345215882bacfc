"""The settings of a session on PostgreSQL, for each kind of work.

Rules kept here:
- Every session with the server is opened here, and has the settings that were asked for.
- Nothing waits for ever: not for a connection, a server that has gone, a lock or a statement.
- A session is found by its name: ``answerable``, or ``answerable/<shard>/<epoch>`` for a leader.
- State tables need no flush of their own, as on SQLite: the journal, which *is* on disk first, brings them up to date.
  What nothing else holds is `durable`.

Left to others: statements (`psycopg_driver.py`), what an error means (`refusals.py`).
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

from .place import DatabasePlace, is_address
from .refusals import refused

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

NAME = "answerable"
CONNECT_S = 10
_GONE_MS = 20_000  # no answer from the other machine
_STATEMENT_MS = 300_000
_LOCK_MS = 30_000
_IDLE_MS = 60_000  # in a transaction
_READER_IDLE_MS = 600_000
_KEPT = "SELECT current_setting('search_path'), current_setting('synchronous_commit')"


def driver() -> ModuleType:
    """Return psycopg. Raises `DatabaseRefused` if it is not installed."""
    try:
        import psycopg
    except ImportError:
        raise refused("no_driver") from None
    return psycopg


def session(
    place: DatabasePlace, *, read_only: bool = False, durable: bool = False, name: str = NAME, patient: bool = False
) -> dict[str, Any]:
    """Return the arguments of `psycopg.connect` (and of its asynchronous sister) for a place on PostgreSQL.

    `durable`: a commit is on disk when it returns. `patient`: statements may take as long as they need (migrations).
    Raises `DatabaseRefused` if the driver cannot read the address, whose words would show the password.
    """
    assert place.url is not None, "a file needs no server"
    if not is_address(place.url.get_secret_value()):
        raise refused("address")
    settings = {
        "search_path": f'"{place.schema}"',
        "timezone": "UTC",
        "client_encoding": "UTF8",
        "default_transaction_isolation": "read\\ committed",
        "default_transaction_read_only": "on" if read_only else "off",
        "synchronous_commit": "on" if durable else "off",
        "statement_timeout": 0 if patient else _STATEMENT_MS,
        "lock_timeout": _LOCK_MS,
        "idle_in_transaction_session_timeout": _READER_IDLE_MS if read_only else _IDLE_MS,
        "jit": "off",  # costs more than our statements
    }
    return {
        "conninfo": place.url.get_secret_value(),
        "autocommit": True,  # BEGIN is sent with the first statement
        "application_name": name,
        "options": " ".join(f"-c {key}={value}" for key, value in settings.items()),
        "connect_timeout": CONNECT_S,
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": _GONE_MS,
    }


def connect(
    place: DatabasePlace, *, read_only: bool = False, durable: bool = False, name: str = NAME, patient: bool = False
) -> "Connection[Any]":
    """Return a session as `session` describes it, for a thread.

    Raises psycopg's errors, and `DatabaseRefused` also if the session lacks these settings: a pooler has dropped them.
    """
    settings = session(place, read_only=read_only, durable=durable, name=name, patient=patient)
    connection: Connection[Any] = driver().connect(**settings)
    try:
        _must_be_kept(connection.execute(_KEPT).fetchone(), place, durable=durable)
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_async(
    place: DatabasePlace,
    *,
    read_only: bool = False,
    durable: bool = False,
    name: str = NAME,
    kind: "type[AsyncConnection[Any]] | None" = None,
) -> "AsyncConnection[Any]":
    """Return a session as `session` describes it, for an event loop; `kind` of connection. Raises as `connect` does."""
    settings = session(place, read_only=read_only, durable=durable, name=name)
    kind = kind or driver().AsyncConnection
    connection = await kind.connect(**settings)
    try:
        _must_be_kept(await (await connection.execute(_KEPT)).fetchone(), place, durable=durable)
    except BaseException:
        await connection.close()
        raise
    return connection


def _must_be_kept(found: object, place: DatabasePlace, *, durable: bool) -> None:
    if found != (f'"{place.schema}"', "on" if durable else "off"):
        raise refused("pooler", place, said="search_path, synchronous_commit")
