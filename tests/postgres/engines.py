"""The engines that a store can be kept in, for tests of what must hold on each: SQLite, and PostgreSQL.

On PostgreSQL the test leads. A test of the storage takes each engine in turn in `make test-long`. In `make test` it
takes SQLite alone, unless it is marked `on_both` or `on_postgresql`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from storage.database.fence import Epoch
from storage.database.leadership import Leadership, Me
from storage.database.place import DatabasePlace
from storage.database.server import session
from tests.examples import ALL

SQLITE, POSTGRESQL = "sqlite", "postgresql"
ENGINES = (SQLITE, POSTGRESQL)
IN_TURN = (SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.examples)) if ALL else (SQLITE,)


@dataclass
class Engine:
    """One engine; `url` is the address of a database on PostgreSQL. The test leads each shard that it asks for."""

    url: str | None = None
    _epochs: dict[str, Epoch] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the engine."""
        return SQLITE if self.url is None else POSTGRESQL

    def place(self, data_dir: Path, shard: str = "") -> DatabasePlace:
        """Return a place; on PostgreSQL every data directory of a shard has the same."""
        return DatabasePlace(data_dir, SecretStr(self.url) if self.url else None, shard)

    def epoch(self, shard: str = "") -> Epoch | None:
        """Return the epoch of the shard's leader; None where nobody leads."""
        if self.url is None:
            return None
        return self._epochs.get(shard) or self.take_over(shard)

    def take_over(self, shard: str = "") -> Epoch:
        """Begin a new epoch, as a standby does."""
        place = self.place(Path(), shard)

        def connect(name: str) -> "psycopg.Connection[tuple[object, ...]]":
            return psycopg.connect(**session(place, durable=True, name=name))

        leadership = Leadership(connect, shard, Me("test", "test"))
        try:
            leadership.enrol("example.org/log", "key", Path("log.key"))
            epoch = leadership.take_over(leadership.look())
        finally:
            leadership.close()
        assert epoch is not None
        self._epochs[shard] = epoch
        return epoch


@pytest.fixture(params=IN_TURN)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Provide each engine in turn; PostgreSQL has a new database."""
    yield Engine(request.getfixturevalue("postgres_tables_url") if request.param == POSTGRESQL else None)


on_both = pytest.mark.parametrize("engine", ENGINES, indirect=True)
on_sqlite = pytest.mark.parametrize("engine", [SQLITE], indirect=True)  # what is about files
on_postgresql = pytest.mark.parametrize("engine", [POSTGRESQL], indirect=True)  # what is about a server
