"""The fixtures of a real Synapse, one process for all workers, and of people and bots on a homeserver.

The fixture of the process is synchronous on purpose: each test has an event loop of its own, and a process belongs to
none of them.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bot.demo.synapse import Synapse
from bot.identity import oidc, oidc_exchange
from bot.scheduler import scheduler
from bot.sync import sync_loop
from tests.fakes.bad_line import BadLine
from tests.theatre.scene import Theatre
from tests.theatre.shared_synapse import shared
from tests.theatre.stage import Stage


@pytest.fixture(scope="session")
def synapse(pytestconfig: pytest.Config) -> Iterator[Synapse]:
    """Provide a homeserver without rate limits."""
    with shared("off", pytestconfig) as synapse:
        yield synapse


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
def at_noon(theatre: Theatre) -> None:
    """Make the bots of `theatre` begin at noon, for what differs if a day is closed meanwhile."""
    theatre.begin_at_noon()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bots notice quickly that their clock was set forward."""
    monkeypatch.setattr(scheduler, "LOOK_AGAIN_MS", 100)
    monkeypatch.setattr(sync_loop, "LONG_POLL_MS", 100)


@pytest.fixture
def quick_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bots notice quickly that somebody logged in at an issuer."""
    monkeypatch.setattr(oidc, "LOOK_MS", 100)
    monkeypatch.setattr(oidc_exchange, "INTERVAL_S", 1)


@pytest.fixture
async def line(theatre: Theatre) -> AsyncIterator[BadLine]:
    """Provide a proxy between bots and the homeserver, without faults until a test orders some."""
    async with BadLine(theatre.stage.server.url) as line:
        theatre.url = line.url
        yield line
        line.clear()
        for bot in theatre.bots:  # which ask until they are told to stop
            await bot.stop()
