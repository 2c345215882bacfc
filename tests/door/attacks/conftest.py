"""Groups with their desks and a direct room for everybody, for those who mean harm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.world import World


@pytest.fixture(scope="session")
def opening(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world as it begins, closed."""
    world = World(tmp_path_factory.mktemp("opening"))
    world.door.close()
    return world


@pytest.fixture
def world(opening: World, tmp_path: Path) -> Iterator[World]:
    """A copy of it."""
    world = opening.again(tmp_path)
    yield world
    world.door.close()
