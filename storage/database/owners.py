"""The owners of what the bot uses in a PostgreSQL database that other accounts may use, too.

The owner of a schema, table, view or function decides what runs when somebody uses it: with the rights of the bot, if
the bot does. So the bot uses only what belongs to its own account, a role of which that is a member, the owner of the
database, or a superuser of the server.

Rules kept here:
- The owner is checked before anything in a schema is used, and after a schema was made that might have existed.

Left to others: making schemas (`postgresql.py`, `shared_tables.py`, `moved.py`, `postgresql_small_store.py`).
"""

from typing import Any, Final

from .place import SHARED, DatabasePlace
from .refusals import refused

_FOREIGN: Final = """
WITH me AS MATERIALIZED (SELECT oid, rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
ours AS MATERIALIZED (
    SELECT oid, nspname, nspowner FROM pg_catalog.pg_namespace
    WHERE nspname IN (%(schema)s, %(shared)s) OR starts_with(nspname, %(schema)s || '$')
),
owned AS (
    SELECT nspname, nspowner AS owner FROM ours
    UNION SELECT nspname, relowner FROM pg_catalog.pg_class JOIN ours ON ours.oid = relnamespace
    UNION SELECT nspname, proowner FROM pg_catalog.pg_proc JOIN ours ON ours.oid = pronamespace
    UNION SELECT nspname, typowner FROM pg_catalog.pg_type JOIN ours ON ours.oid = typnamespace
)
SELECT owned.nspname::text FROM owned CROSS JOIN me LEFT JOIN pg_catalog.pg_roles r ON r.oid = owned.owner
WHERE owned.owner <> me.oid AND r.rolsuper IS NOT TRUE
AND owned.owner <> (SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database())
AND (me.rolsuper OR NOT pg_has_role(owned.owner, 'USAGE'))
ORDER BY 1 LIMIT 1
"""


def refuse_foreign(connection: Any, where: DatabasePlace | str = "", schema: str = SHARED) -> None:
    """Raise `DatabaseRefused` if another account owns `schema`, a small store of it, the shared one, or what is there.

    `connection`: one of psycopg.
    """
    row = connection.execute(_FOREIGN, {"schema": schema, "shared": SHARED}).fetchone()
    if row is not None:
        raise refused("foreign", where, schema=row[0])
