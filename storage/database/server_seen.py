"""The identity of the PostgreSQL server of a session, and the certainty that a copy of it has all commits.

A server that is promoted, or recovered to an earlier moment, begins a new timeline; one that was made anew, by a dump
or an upgrade, has another identifier. A restart or a crash changes neither.

Rules kept here:
- A server that does not answer (as some hosted ones do not) counts as unknown; nothing else depends on it.

Left to others: what follows from another server (`bot/crypto/store_age.py`).
"""

from dataclasses import dataclass
from typing import Any, Final

WHICH: Final = """
SELECT system_identifier || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8),
    current_setting('synchronous_standby_names') <> ''
FROM pg_control_system()
"""


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server. `name`: its identifier and timeline.

    `is_copied`: by its settings a commit does not end before another server has it.
    """

    name: str
    is_copied: bool


def server_of(db: Any) -> ServerSeen | None:
    """Return the server of a connection of psycopg that is in a transaction; None if it does not say which it is.

    Raises what the driver raises if the connection is lost.
    """
    import psycopg

    try:
        with db.transaction():  # a savepoint: what was done so far stays
            row = db.execute(WHICH, prepare=False).fetchone()
    except (psycopg.ProgrammingError, psycopg.NotSupportedError):
        return None
    return ServerSeen(str(row[0]), bool(row[1])) if row else None
