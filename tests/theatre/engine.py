"""The databases of the bots of a test: SQLite's files, or one database on PostgreSQL for each data directory."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from bot.config.config import Config
from bot.config.database import DATABASE_URL
from storage.database.place import DatabasePlace
from tests.postgres.shared import Databases

Block = Callable[[], AbstractContextManager[None]]


class BotsDatabases:
    """A database for each data directory, until `close`. `before`: those that are there already."""

    def __init__(self, databases: Databases, before: "BotsDatabases | None" = None) -> None:
        """Make none yet."""
        self._databases = databases
        self._stack = ExitStack()
        self._known: dict[Path, str] = dict(before._known) if before is not None else {}

    def of(self, data_dir: Path) -> str:
        """Return the address of the database of a data directory."""
        folder = data_dir.resolve()
        if folder not in self._known:
            self._known[folder] = self._stack.enter_context(self._databases.with_tables())
        return self._known[folder]

    def copy(self, data_dir: Path, to: Path) -> None:
        """Copy the database of a data directory for another one."""
        name = urlsplit(self.of(data_dir)).path.removeprefix("/")
        self._known[to.resolve()] = self._stack.enter_context(self._databases.new(name))

    def close(self) -> None:
        """Drop those that were made here."""
        self._stack.close()


_used: list[BotsDatabases] = []  # one while a test, or a fixture for several, runs on PostgreSQL


def place_in(data_dir: Path) -> DatabasePlace:
    """Return the place of the database of a data directory."""
    return DatabasePlace(data_dir, SecretStr(_used[-1].of(data_dir)) if _used else None)


def environ_for(data_dir: Path) -> dict[str, str]:
    """Return what the environment of a process says of the database of its data directory."""
    url = place_in(data_dir).url
    return {} if url is None else {DATABASE_URL: url.get_secret_value()}


def copy_deployment(data_dir: Path, to: Path) -> None:
    """Copy all that a stopped bot keeps, in the place of what is there. Nobody may read its tables meanwhile."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(data_dir, to)
    if _used:
        _used[-1].copy(data_dir, to)


@contextmanager
def on_postgresql(databases: BotsDatabases) -> Iterator[None]:
    """Let bots keep their state on PostgreSQL, wherever their settings do not name a database."""
    of_settings = vars(Config)["place"].fget

    def place(config: Config) -> DatabasePlace:
        named: DatabasePlace = of_settings(config)
        return named if named.url is not None else replace(named, url=place_in(config.data_dir).url)

    _used.append(databases)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Config, "place", property(place))
            yield
    finally:
        _used.pop()
