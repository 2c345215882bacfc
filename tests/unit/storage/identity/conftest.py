"""The place that the tests of the identity store write to."""

from pathlib import Path

import pytest

from tests.postgres.engines import Engine
from tests.unit.storage.identity.at import At


@pytest.fixture
def at(engine: Engine, tmp_path: Path) -> At:
    """Provide an empty place on each engine."""
    return At(engine, tmp_path / "data")
