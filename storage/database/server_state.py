"""The properties of a PostgreSQL server, for `answerable check`.

Left to others: what is said about it (`bot/cli/check/database.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from .place import DatabasePlace, rebuilt_beside
from .postgresql import connected

_ROUNDS = 20
# Keep a committed transaction through a power cut. Whether a commit waits for the disk, each session says itself.
_UNSAFE = """
    SELECT name, setting FROM pg_catalog.pg_settings
    WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name
"""
_MAY_MAKE = """
    SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
        THEN has_schema_privilege(%(schema)s, 'USAGE, CREATE')
        ELSE has_database_privilege(current_database(), 'CREATE') END
"""
_CLOSED = """
    SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %(schema)s AND NOT (
        has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT')
        AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'INSERT')
        AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'UPDATE')
        AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'DELETE')
    ) ORDER BY 1
"""
# What `logs rebuild-db` left: old tables, or new ones that it was killed over.
_LEFT = """
    SELECT nspname FROM pg_catalog.pg_namespace
    WHERE starts_with(nspname, %(schema)s || '$before-rebuild-') OR nspname = %(half)s ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server, and what the account may do there."""

    version: str
    unsafe: tuple[tuple[str, str], ...]  # settings that lose what was committed, with their values
    is_standby: bool
    may_make: bool  # the schema or tables in it
    closed: tuple[str, ...]  # tables that the account may not read and write
    left: tuple[str, ...]  # schemas that nothing uses any more, and that no erasure reaches
    round_trip_ms: float  # the median


def state_of(place: DatabasePlace) -> ServerState:
    """Ask the server. Raises `DatabaseRefused` if it cannot be used."""
    with connected(place) as connection:
        named = {"schema": place.schema, "half": rebuilt_beside(place).schema}
        return ServerState(
            version=str(connection.info.parameter_status("server_version")).partition(" ")[0],
            unsafe=tuple((str(name), str(value)) for name, value in connection.execute(_UNSAFE)),
            is_standby=connection.info.parameter_status("in_hot_standby") == "on",
            may_make=bool(connection.execute(_MAY_MAKE, named).fetchall()[0][0]),
            closed=tuple(str(name) for (name,) in connection.execute(_CLOSED, named)),
            left=tuple(str(name) for (name,) in connection.execute(_LEFT, named)),
            round_trip_ms=median(_took_ms(connection.execute) for _ in range(_ROUNDS)),
        )


def _took_ms(ask: Callable[[str], object]) -> float:
    began = time.perf_counter()
    ask("SELECT 1")
    return 1000 * (time.perf_counter() - began)
