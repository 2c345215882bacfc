"""Empty a database of the tests, so that it is as new for the next test: to make one takes ten times as long.

A new one costs the server a copy of all its files, and each of the first sessions in it the reading of the catalogue.

Rules kept here:
- A database counts as empty only if its catalogue says what that of the template says: the same tables, columns,
  indexes, functions, triggers, rights and settings. One that a test has changed is not used again.
- Schemas that the template does not have are dropped with all that is in them.
- Tables that have grown beyond some pages are not used again either, as the planner reckons with their size.

Left to others: which databases there are (`shared.py`).
"""

from typing import Any

import psycopg

_TABLES = "'answerable', 'answerable_shared'"  # the schemas whose tables are emptied
_OURS = f"{_TABLES}, 'public'"  # the schemas of a database that was just made
_MOST_BYTES = 64 * 1024  # of a table: less than the ten pages that the planner takes every new table for
_END_SESSIONS = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = f"""
DO $$
DECLARE
    found record;
    ours oid[] = ARRAY(SELECT oid FROM pg_namespace WHERE nspname IN ({_TABLES}));
BEGIN
    FOR found IN SELECT nspname FROM pg_namespace
        WHERE nspname NOT IN ({_OURS}, 'information_schema') AND NOT starts_with(nspname, 'pg_')
    LOOP EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname); END LOOP;
    FOR found IN SELECT c.oid::regclass AS name, pg_relation_size(c.oid) AS size FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = ANY (ours) AND c.relname <> 'alembic_version'
        ORDER BY EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f') DESC
    LOOP
        IF found.size > {_MOST_BYTES} THEN RAISE EXCEPTION '% has grown', found.name; END IF;
        IF found.size > 0 THEN EXECUTE format('DELETE FROM %s', found.name); END IF;
    END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class
        WHERE relkind = 'S' AND relnamespace = ANY (ours);
END $$
"""
_CATALOGUE = f"""
WITH schemas AS (SELECT * FROM pg_namespace WHERE nspname IN ({_OURS})),
    tables AS (SELECT c.* FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace)
SELECT md5(string_agg(said, ' ' ORDER BY said)) FROM (
    SELECT 'schema ' || s::text FROM schemas s
    UNION ALL SELECT concat_ws(' ', 'table', oid, relname, relowner, relkind, relpersistence, relfilenode, reltuples,
        relacl, reloptions, relnatts, relchecks, relhasrules, relhastriggers, relrowsecurity) FROM tables
    UNION ALL SELECT concat_ws(' ', 'column', attrelid, attnum, xmin) FROM pg_attribute
        WHERE attrelid IN (SELECT oid FROM tables)
    UNION ALL SELECT concat_ws(' ', 'constraint', oid, xmin) FROM pg_constraint
        WHERE connamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM tables)
    UNION ALL SELECT concat_ws(' ', 'function', oid, p) FROM pg_proc p  -- each leader replaces one by the same
        WHERE pronamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT concat_ws(' ', 'type', oid, xmin) FROM pg_type WHERE typnamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT concat_ws(' ', 'statistics', starelid, staattnum) FROM pg_statistic
        WHERE starelid IN (SELECT oid FROM tables)
    UNION ALL SELECT concat_ws(' ', 'rights', oid, xmin) FROM pg_default_acl
    UNION ALL SELECT concat_ws(' ', 'extension', oid, xmin) FROM pg_extension
    UNION ALL SELECT concat_ws(' ', 'setting', s.*) FROM pg_db_role_setting s
        WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT concat_ws(' ', 'database', datdba, datacl, datallowconn, datconnlimit) FROM pg_database
        WHERE datname = current_database()
    UNION ALL SELECT 'version ' || version_num FROM answerable.alembic_version
) AS catalogue (said)
"""


def catalogue(connection: "psycopg.Connection[Any]") -> str:
    """Return what changes with anything in the catalogue of a database that a test could change."""
    [(found,)] = connection.execute(_CATALOGUE).fetchall()
    return str(found)


def is_emptied(connection: "psycopg.Connection[Any]", new: str) -> bool:
    """End all other sessions and empty the tables; tell whether the database is as new, whose catalogue is `new`."""
    try:
        connection.execute(_END_SESSIONS)
        connection.execute(_EMPTY)
        return catalogue(connection) == new
    except psycopg.Error:
        return False
