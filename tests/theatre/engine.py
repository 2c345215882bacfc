"""The databases of the bots of a test: SQLite's files, or one database on PostgreSQL for each data directory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.config.config import Config
from bot.config.database import DATABASE_URL
from storage.database.place import DatabasePlace
from tests.postgres.shared import Databases


class _Addresses:
    """The address of the database of each data directory."""

    def __init__(self, databases: Databases, stack: ExitStack) -> None:
        self._databases = databases
        self._stack = stack
        self._known: dict[Path, str] = {}

    def of(self, data_dir: Path) -> str:
        folder = data_dir.resolve()
        if folder not in self._known:
            self._known[folder] = self._stack.enter_context(self._databases.with_tables())
        return self._known[folder]


_addresses: list[_Addresses] = []  # one while a test runs on PostgreSQL


def place_in(data_dir: Path) -> DatabasePlace:
    """Return the place of the database of a data directory."""
    return DatabasePlace(data_dir, SecretStr(_addresses[-1].of(data_dir)) if _addresses else None)


def environ_for(data_dir: Path) -> dict[str, str]:
    """Return what the environment of a process says of the database of its data directory."""
    url = place_in(data_dir).url
    return {} if url is None else {DATABASE_URL: url.get_secret_value()}


@contextmanager
def on_postgresql(databases: Databases) -> Iterator[None]:
    """Let the bots of a test keep their state on PostgreSQL, wherever their settings do not name a database."""
    of_settings = vars(Config)["place"].fget

    def place(config: Config) -> DatabasePlace:
        named: DatabasePlace = of_settings(config)
        return named if named.url is not None else replace(named, url=place_in(config.data_dir).url)

    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        _addresses.append(_Addresses(databases, stack))
        stack.callback(_addresses.pop)
        patch.setattr(Config, "place", property(place))
        yield
