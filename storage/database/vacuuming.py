"""Settings that say how soon PostgreSQL vacuums the large tables by itself.

By default it waits until a fifth of a table is dead or new. Of ten million events that is two million, whose index
entries every search for the oldest walks over. The small tables that change all the time (the outbox, the beats) reach
the default within each minute, at which it looks, so they are left to it (decision 0056).

Rules kept here:
- What a person has set for a table is left alone.
- A table that has the settings already is not locked.
"""

from collections.abc import Sequence
from typing import Any, Final

LARGE: Final = ("events", "old_events")  # of the state; all else stays small, or is seldom searched
_SETTINGS: Final = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05"
_WITHOUT: Final = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = ANY(%s) AND c.reloptions IS NULL
"""


def vacuum_soon(db: Any, schema: str, tables: Sequence[str]) -> None:
    """Let the server vacuum tables of a schema soon, on a connection of psycopg."""
    for (name,) in db.execute(_WITHOUT, (schema, list(tables))).fetchall():
        db.execute(f'ALTER TABLE "{schema}"."{name}" SET ({_SETTINGS})')
