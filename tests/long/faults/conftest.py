"""Fixtures that several tests begin with: the scene of a story, and the story played without any fault."""

from collections.abc import Awaitable, Callable

import pytest

from tests.long.faults.fault import Fault
from tests.long.faults.perform import perform
from tests.long.faults.scene import Start, Story, scene
from tests.long.faults.seen import Seen, different

Opening = Callable[..., Awaitable[tuple[Start, Seen]]]


@pytest.fixture(scope="session")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Opening:
    """Provide the scene of a story, and what can be seen after the story without a fault; each is made once."""
    made: dict[tuple[str, bool], tuple[Start, Seen]] = {}

    async def make(story: Story, *, encrypted: bool = False) -> tuple[Start, Seen]:
        key = (story.name, encrypted)
        if key not in made:
            folder = tmp_path_factory.mktemp("opening")
            start = await scene(folder / "scene", story, encrypted=encrypted)
            made[key] = (start, await perform(start, folder / "peace", Fault()))
            assert different(made[key][1], made[key][1]) == {}
        return made[key]

    return make
