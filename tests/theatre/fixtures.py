"""The fixtures of a real Synapse, one process for all tests that have no rate limits, and one with the default ones.

The fixtures that start processes are synchronous on purpose: each test has an event loop of its own, and a process
belongs to none of them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bot.demo.synapse import Limits, Synapse
from bot.scheduler import scheduler
from bot.sync import sync_loop
from tests.theatre.scene import Theatre
from tests.theatre.stage import Stage

STARTED_S = 500.0  # three seconds of a processor: minutes where many programs run
_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """Provide a homeserver without rate limits."""
    yield from running("off")


@pytest.fixture
async def stage_on_synapse(synapse: Synapse) -> AsyncIterator[Stage]:
    """Provide people, bots and rooms on `synapse`."""
    async with Stage(synapse) as stage:
        yield stage


@pytest.fixture
async def theatre(stage: Stage, tmp_path: Path) -> AsyncIterator[Theatre]:
    """Provide real bots in rooms on the homeserver of `stage`; at the end verify each journal."""
    theatre = Theatre(stage, tmp_path)
    yield theatre
    await theatre.close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bots notice quickly that their clock was set forward."""
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_MS", 100)
    monkeypatch.setattr(sync_loop, "LONG_POLL_MS", 100)


def running(limits: Limits, **more: Any) -> Iterator[Synapse]:
    """Run a homeserver; `more` has further settings of Synapse."""
    # In memory, where the system has such a folder: flushing the homeserver's database to a disk takes a fifth of the
    # time of these tests and shows nothing about us. What the bot writes does go to a disk.
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="answerable-synapse-", dir=where, ignore_cleanup_errors=True) as folder:
        server = asyncio.run(Synapse.start(Path(folder), limits=limits, within_s=STARTED_S, more=more))
        yield server
        asyncio.run(server.stop())
