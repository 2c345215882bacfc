"""Two homeservers that speak to each other, and a server of ours that speaks to both."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.demo.authority import TlsAuthority
from bot.demo.federated_synapse import FederatedSynapse
from bot.sync import policy_watch
from tests.long.federation.our_server import OurServer
from tests.people.client import Client
from tests.theatre.served import until
from tests.theatre.stage import Stage

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Pair:
    """Two homeservers, and the authority that certifies both."""

    here: FederatedSynapse
    there: FederatedSynapse
    authority: TlsAuthority


class Looks:
    """The looks of bots at their policy server, from outside."""

    def __init__(self) -> None:
        self.reached = 0  # how many found it there

    async def until_reached(self) -> None:
        """Wait until a look finds it there, as from now."""
        before = self.reached

        async def found() -> bool:
            return self.reached > before

        await until(found, "the bot to reach its policy server")


async def join_through(person: Client, room: str, via: str) -> None:
    """Join a room that one's own homeserver does not know."""
    await person.request("POST", "join", room, json={}, query={"via": via, "server_name": via})


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Let bots look often whether their policy server is there, and count."""
    looks, look = Looks(), policy_watch.OutsideLook.__call__

    async def counted(self: policy_watch.OutsideLook) -> bool:
        reached = await look(self)
        looks.reached += reached
        return reached

    monkeypatch.setattr(policy_watch, "ASK_EVERY_S", 0.2)
    monkeypatch.setattr(policy_watch.OutsideLook, "__call__", counted)
    return looks


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Provide two homeservers without rate limits, for all tests of a session."""
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="answerable-pair-", dir=where, ignore_cleanup_errors=True) as folder:
        pair = asyncio.run(_started(Path(folder)))
        yield pair
        asyncio.run(_stopped(pair))


@pytest.fixture
async def here(pair: Pair) -> AsyncIterator[Stage]:
    """Provide people and rooms on the one homeserver."""
    async with Stage(pair.here) as stage:
        yield stage


@pytest.fixture
async def there(pair: Pair) -> AsyncIterator[Stage]:
    """Provide people and rooms on the other."""
    async with Stage(pair.there) as stage:
        yield stage


@pytest.fixture
async def ours(pair: Pair) -> AsyncIterator[OurServer]:
    """Provide a server of ours."""
    async with OurServer(pair.authority) as ours:
        yield ours


async def _started(folder: Path) -> Pair:
    authority = TlsAuthority(folder)
    both = await asyncio.gather(
        FederatedSynapse.start_federated(folder / "here", authority),
        FederatedSynapse.start_federated(folder / "there", authority),
    )
    return Pair(*both, authority)


async def _stopped(pair: Pair) -> None:
    await asyncio.gather(pair.here.stop(), pair.there.stop())
