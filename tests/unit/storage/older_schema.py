"""Databases of older schemas; `schema_0010.sql` is the oldest one that is migrated."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, create_engine

from storage.database.schemas import alembic_config

OLDEST = Path(__file__).with_name("schema_0010.sql").read_text("utf-8")


@contextmanager
def older_database(path: Path, schema: str) -> Iterator[Connection]:
    """Make an empty database of `schema`, and yield a connection to fill it, which is committed and closed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDEST)
    config, engine = alembic_config(), create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
        yield connection
    engine.dispose()
