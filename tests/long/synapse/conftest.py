"""The fixtures of `tests/synapse`, and a second Synapse, started on demand, with the default rate limits."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.demo.synapse import Synapse
from tests.synapse.conftest import encrypted, encrypted_stage, stage  # noqa: F401
from tests.theatre.fixtures import line, short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
from tests.theatre.scene import Theatre
from tests.theatre.shared_synapse import shared
from tests.theatre.stage import Stage


@pytest.fixture(scope="session")
def synapse_limited(pytestconfig: pytest.Config) -> Iterator[Synapse]:
    """Provide a homeserver with Synapse's default rate limits."""
    with shared("default", pytestconfig) as limited:
        yield limited


@pytest.fixture
async def stage_limited(synapse_limited: Synapse) -> AsyncIterator[Stage]:
    """Provide people, bots and rooms on `synapse_limited`."""
    async with Stage(synapse_limited) as limited:
        yield limited


@pytest.fixture
async def theatre_limited(stage_limited: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots on `synapse_limited`; at the end verify each journal."""
    limited = Theatre(stage_limited, tmp_path)
    yield limited
    await limited.close()
