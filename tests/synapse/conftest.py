"""Fixtures with a real Synapse; each test gets users and rooms of its own.

One process serves all tests without rate limits; a second one, started on demand, has Synapse's default limits.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.demo.synapse import Synapse
from tests.clients.encrypted_stage import EncryptedStage
from tests.theatre.fixtures import running, short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
from tests.theatre.scene import Theatre
from tests.theatre.stage import Stage


@pytest.fixture
def stage(stage_on_synapse: Stage) -> Stage:  # noqa: F811
    """Provide people, bots and rooms on `synapse`."""
    return stage_on_synapse


@pytest.fixture(scope="session")
def synapse_limited() -> Iterator[Synapse]:
    """Provide a homeserver with Synapse's default rate limits."""
    yield from running("default")


@pytest.fixture
async def stage_limited(synapse_limited: Synapse) -> AsyncIterator[Stage]:
    """Provide people, bots and rooms on `synapse_limited`."""
    async with Stage(synapse_limited) as stage:
        yield stage


@pytest.fixture
async def encrypted_stage(synapse: Synapse, tmp_path: Path) -> AsyncIterator[EncryptedStage]:  # noqa: F811
    """Provide people with current clients, and encrypted rooms, on `synapse`."""
    async with EncryptedStage(synapse, tmp_path) as stage:
        yield stage


@pytest.fixture
async def theatre_limited(stage_limited: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots on `synapse_limited`; at the end verify each journal."""
    limited = Theatre(stage_limited, tmp_path)
    yield limited
    await limited.close()
