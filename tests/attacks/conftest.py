"""Two groups with their desks and a direct room for everybody, for those who mean harm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.test_no_path_gives_more import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.door.close()
