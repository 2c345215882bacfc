"""Shards of these stories keep their state in files, which they copy and cut; those that name a database are on it."""

import pytest

from tests.postgres.engines import SQLITE


@pytest.fixture(autouse=True)
def bots_database() -> str:
    """Let the bots keep their state where their settings say, whatever database the run is for."""
    return SQLITE
