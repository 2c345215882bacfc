"""Fixtures for tests of the federation library."""

from collections.abc import Iterator

import pytest

from tests.unit.bot.federation.oracle import Oracle, an_oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """Provide Synapse's own code as an oracle, in another process."""
    with an_oracle() as oracle:
        yield oracle
