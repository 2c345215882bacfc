"""The fixtures of `tests/door`, with the state of the bots on PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.door.conftest import stage  # noqa: F401
from tests.postgres.engines import POSTGRESQL
from tests.postgres.shared import Databases
from tests.theatre.engine import BotsDatabases, on_postgresql
from tests.theatre.fixtures import at_noon, short_waits, stage_on_synapse, synapse, theatre  # noqa: F401


@pytest.fixture(autouse=True)
def bots_database(postgres: Databases) -> Iterator[str]:
    """Let the bots of a test keep their state on PostgreSQL."""
    with closing(BotsDatabases(postgres)) as databases, on_postgresql(databases):
        yield POSTGRESQL
