"""Rows of a database on a real PostgreSQL, read apart from what is tested."""

import psycopg

from storage.database.place import DatabasePlace

KEYS = ["a", "b", "c"]  # of the rows that `database` begins with


def rows(place: DatabasePlace, sql: str) -> list[tuple[object, ...]]:
    assert place.url is not None
    with psycopg.connect(place.url.get_secret_value(), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []
