"""The session on PostgreSQL in which a deployment is copied.

Left to others: settings of sessions in general (`storage/database/server.py`).
"""

from typing import TYPE_CHECKING, Any

from storage.database.owners import refuse_foreign
from storage.database.place import DatabasePlace
from storage.database.server import connect

if TYPE_CHECKING:
    import psycopg


def connected(place: DatabasePlace, name: str) -> "psycopg.Connection[Any]":
    """Return a connection on which a transaction may take as long as it needs. Raises `DatabaseRefused`."""
    connection = connect(place, durable=True, patient=True, name=name)
    refuse_foreign(connection, place, place.schema)
    connection.execute("SET idle_in_transaction_session_timeout = 0")  # it waits while a file is read
    return connection
