"""The one PostgreSQL server of a run of the tests, and a new database in it for each test.

The server starts when the first test of any worker needs it, and ends with the last worker. With
`ANSWERABLE_TEST_POSTGRES` the tests use that server instead, and leave nothing in it but what a killed test had.

Rules kept here:
- A database is a copy of a template, which takes some 70 ms of a processor; it is dropped when the next one is made, as
  its connections may be closing until then. One with tables is emptied and used again (`emptied.py`).
- No connection outlives a call: a process forked from this one must not end it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from pydantic import SecretStr

from storage.database import shared_tables
from storage.database.place import DatabasePlace
from storage.database.postgresql import migrate
from tests.postgres import keeper
from tests.postgres.emptied import catalogue, is_emptied
from tests.postgres.server import Server, used

OTHER = "ANSWERABLE_TEST_POSTGRES"
# What was connected to a database that is to be copied: PostgreSQL waits only five seconds for a session to end.
END_SESSIONS = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
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
        self._new = ""  # its catalogue
        self._used: list[str] = []  # databases with tables, of tests that have ended

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{database}"))

    @contextmanager
    def new(self, template: str = EMPTY) -> Iterator[str]:
        """Make a database as a copy of `template`; its address. Nothing of it is left some time after the end."""
        name = self._made(template)
        try:
            yield self.url(name)
        finally:
            self._old.append(name)

    @contextmanager
    def with_tables(self) -> Iterator[str]:
        """Provide a database with the tables of a deployment, and those that all share, all empty; its address."""
        name = self._emptied() or self._made(self._with_empty_tables())
        try:
            yield self.url(name)
        finally:
            self._used.append(name)

    def _made(self, template: str) -> str:
        """Make a database, and drop the old ones."""
        name = f"answerable_test_{os.getpid()}_{next(self._numbers)}"
        with self._connected() as connection:
            self._drop(connection)
            connection.execute(END_SESSIONS, (template,))
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def _with_empty_tables(self) -> str:
        """Return the template that has tables."""
        if not self._template:
            self._template = f"answerable_test_{os.getpid()}_template"
            with self._connected() as connection:
                connection.execute(f'CREATE DATABASE "{self._template}" TEMPLATE "{EMPTY}" STRATEGY FILE_COPY')
            migrate(DatabasePlace(Path(), SecretStr(self.url(self._template))))
            with psycopg.connect(self.url(self._template)) as connection:
                shared_tables.make(connection)
                self._new = catalogue(connection)
        return self._template

    def _emptied(self) -> str | None:
        """Return a database that a test has left as it was but for rows, now without them; None if there is none."""
        while self._used:
            name = self._used.pop()
            with suppress(psycopg.Error), psycopg.connect(self.url(name), autocommit=True) as connection:
                if is_emptied(connection, self._new):
                    return name
            self._old.append(name)
        return None

    def close(self) -> None:
        """Drop what is left."""
        if self._template:
            self._old += [self._template, *self._used]
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
