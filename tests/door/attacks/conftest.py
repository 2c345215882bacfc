"""Groups with their desks and a direct room for everybody, for tests of attackers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.world import World
from tests.theatre.engine import Block


@pytest.fixture(scope="session")
def opening(tmp_path_factory: pytest.TempPathFactory, as_bots_do: Block) -> World:
    """Provide the initial world, closed."""
    with as_bots_do():
        world = World(tmp_path_factory.mktemp("opening"))
        world.door.close()
    return world


@pytest.fixture
def world(opening: World, tmp_path: Path) -> Iterator[World]:
    """Provide a copy of the initial world."""
    world = opening.again(tmp_path)
    yield world
    world.door.close()
