"""Fixtures with a real Synapse; each test gets users and rooms of its own.

One process serves all tests without rate limits; a second one, started on demand, has Synapse's default limits.

The fixtures that start processes are synchronous on purpose: each test has an event loop of its own, and a process
belongs to none of them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.demo.synapse import Limits, Synapse
from bot.scheduler import scheduler
from bot.sync import sync_loop
from tests.clients.encrypted_stage import EncryptedStage
from tests.synapse.served import Theatre
from tests.synapse.stage import Stage

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """Provide a homeserver without rate limits."""
    yield from _running("off")


@pytest.fixture(scope="session")
def synapse_limited() -> Iterator[Synapse]:
    """Provide a homeserver with Synapse's default rate limits."""
    yield from _running("default")


@pytest.fixture
async def stage(synapse: Synapse) -> AsyncIterator[Stage]:
    """Provide people, bots and rooms on `synapse`."""
    async with Stage(synapse) as stage:
        yield stage


@pytest.fixture
async def stage_limited(synapse_limited: Synapse) -> AsyncIterator[Stage]:
    """Provide people, bots and rooms on `synapse_limited`."""
    async with Stage(synapse_limited) as stage:
        yield stage


@pytest.fixture
async def encrypted_stage(synapse: Synapse, tmp_path: Path) -> AsyncIterator[EncryptedStage]:
    """Provide people with current clients, and encrypted rooms, on `synapse`."""
    async with EncryptedStage(synapse, tmp_path) as stage:
        yield stage


@pytest.fixture
async def theatre(stage: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots in rooms on `synapse`; at the end verify each journal."""
    theatre = Theatre(stage, tmp_path)
    yield theatre
    await theatre.close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bots notice quickly that their clock was set forward."""
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_MS", 200)
    monkeypatch.setattr(sync_loop, "LONG_POLL_MS", 500)


@pytest.fixture
async def theatre_limited(stage_limited: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots on `synapse_limited`; at the end verify each journal."""
    theatre = Theatre(stage_limited, tmp_path)
    yield theatre
    await theatre.close()


def _running(limits: Limits) -> Iterator[Synapse]:
    # In memory, where the system has such a folder: flushing the homeserver's database to a disk takes a fifth of the
    # time of these tests and shows nothing about us. What the bot writes does go to a disk.
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="answerable-synapse-", dir=where, ignore_cleanup_errors=True) as folder:
        server = asyncio.run(Synapse.start(Path(folder), limits=limits))
        yield server
        asyncio.run(server.stop())
