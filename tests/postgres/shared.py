"""The one PostgreSQL server of a run of the tests, and a new database in it for each test.

The server starts when the first test of any worker needs it, and ends with the last worker. With
`ANSWERABLE_TEST_POSTGRES` the tests use that server instead, and leave nothing in it but what a killed test had.

Rules kept here:
- A database is a copy of a template, which takes some 15 ms; it is dropped when the next one is made, as its
  connections may be closing until then.
- No connection outlives a call: a process forked from this one must not end it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from pydantic import SecretStr

from storage.database.place import DatabasePlace
from storage.database.postgresql import migrate
from tests.postgres import keeper
from tests.postgres.server import Server, used

OTHER = "ANSWERABLE_TEST_POSTGRES"
_FOLDER = "ANSWERABLE_TEST_POSTGRES_FOLDER"
EMPTY = "template0"


def prepare(config: pytest.Config) -> None:
    """Choose the folder of this run's server, for all workers; end the server with the run."""
    if hasattr(config, "workerinput") or _FOLDER in os.environ:
        return
    folder = Path(tempfile.gettempdir()) / f"answerable-postgres-{os.getpid()}"
    os.environ[_FOLDER] = str(folder)
    config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))
    config.add_cleanup(partial(keeper.end, folder))
    config.add_cleanup(partial(os.environ.__delitem__, _FOLDER))


class Databases:
    """Makes databases on one server."""

    def __init__(self, server: str) -> None:
        """Use the server at this address, that of a database where a user may create others."""
        self._server = server
        self._numbers = count(1)
        self._old: list[str] = []
        self._template = ""  # a database with tables, made when it is first needed

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{database}"))

    @contextmanager
    def new(self, template: str = EMPTY) -> Iterator[str]:
        """Make a database as a copy of `template`; its address. Nothing of it is left some time after the end."""
        name = f"answerable_test_{os.getpid()}_{next(self._numbers)}"
        with self._connected() as connection:
            self._drop(connection)
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            yield self.url(name)
        finally:
            self._old.append(name)

    def with_tables(self) -> AbstractContextManager[str]:
        """Make a database with the tables of a deployment; its address."""
        if not self._template:
            self._template = f"answerable_test_{os.getpid()}_template"
            with self._connected() as connection:
                connection.execute(f'CREATE DATABASE "{self._template}" TEMPLATE "{EMPTY}" STRATEGY FILE_COPY')
            migrate(DatabasePlace(Path(), SecretStr(self.url(self._template))))
        return self.new(self._template)

    def close(self) -> None:
        """Drop what is left."""
        if self._template:
            self._old.append(self._template)
        with self._connected() as connection:
            self._drop(connection)

    def _connected(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self._server, autocommit=True)

    def _drop(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        while self._old:
            connection.execute(f'DROP DATABASE IF EXISTS "{self._old.pop()}" WITH (FORCE)')


@contextmanager
def databases() -> Iterator[Databases]:
    """Use the server of this run, started if it does not run yet."""
    with ExitStack() as stack:
        server = os.environ.get(OTHER) or stack.enter_context(_shared()).url()
        made = Databases(server)
        stack.callback(made.close)
        yield made


@contextmanager
def _shared() -> Iterator[Server]:
    server = Server(Path(os.environ[_FOLDER]))
    server.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with (server.folder / "starting").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker starts it, the others wait
            stack.enter_context(used(server))
        yield server
