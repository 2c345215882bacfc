"""Fixtures with a real Synapse, one process without rate limits for all tests; each has users and rooms of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.demo.synapse import Synapse
from tests.clients.encrypted_stage import EncryptedStage
from tests.theatre.fixtures import short_waits, stage_on_synapse, synapse, theatre  # noqa: F401
from tests.theatre.scene import Theatre
from tests.theatre.stage import Stage


@pytest.fixture
def stage(stage_on_synapse: Stage) -> Stage:  # noqa: F811
    """Provide people, bots and rooms on `synapse`."""
    return stage_on_synapse


@pytest.fixture
async def encrypted_stage(synapse: Synapse, tmp_path: Path) -> AsyncIterator[EncryptedStage]:  # noqa: F811
    """Provide people with current clients, and encrypted rooms, on `synapse`."""
    async with EncryptedStage(synapse, tmp_path) as stage:
        yield stage


@pytest.fixture
async def encrypted(encrypted_stage: EncryptedStage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots in encrypted rooms; at the end verify each journal."""
    sealed = Theatre(encrypted_stage, tmp_path)
    yield sealed
    await sealed.close()
