"""Fixtures for tests on PostgreSQL; every test can ask for them.

`postgres_url` is the address of a new, empty database on the one server of the run. `own_postgres` is a server that the
test may stop, kill, pause and start again.
"""

from collections.abc import Iterator

import pytest

from tests.postgres.server import Server, own_server
from tests.postgres.shared import Databases, databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """Provide what makes databases on the server of this run."""
    with databases() as made:
        yield made


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """Provide the address of a new, empty database."""
    with postgres.new() as url:
        yield url


@pytest.fixture
def postgres_tables_url(postgres: Databases) -> Iterator[str]:
    """Provide the address of a new database with the tables of a deployment, and those that all share, all empty."""
    with postgres.with_tables() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """Provide a running server of this test alone."""
    with own_server() as server:
        yield server
