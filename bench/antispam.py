"""The cost of being asked before delivery: the time of a send on a Synapse that asks the bot, and on one that does not.

    python -m bench.antispam [--json FILE] [--rounds N] [--singles N] [--each N]

Two homeservers run side by side, each with a bot that protects a room with everything on (10,000 terms, rules of all
kinds), as in `bench.react`. One asks its bot through the antispam module. Sends go to both in turn: one at a time, then
ten people at once. What is refused is compared with what is sent.
"""

import argparse
import asyncio
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from bot.antispam.module_config import module_config
from bot.config.antispam import ANTISPAM_TOKEN, AntispamSettings
from bot.demo.bot_process import BotProcess
from bot.demo.synapse import Synapse
from moderation.values.ids import RoomId
from tests.people.client import Client, MatrixError

from .figures import Figure, at_most_times, measure, percentile
from .react_world import PASSWORD, rules, word

SEND_TIMES, P95_TIMES, BURST_TIMES = 1.15, 1.3, 1.3
PEOPLE = 10
_WAIT_S = 120.0


@dataclass
class Side:
    """One homeserver with its bot, a room and the people in it; `asks`: through the antispam module."""

    folder: Path
    asks: bool
    stack: AsyncExitStack
    people: list[Client] = field(default_factory=list)
    room: RoomId = field(default=RoomId(""))

    async def start(self) -> None:
        """Start everything, and wait until the bot protects the room."""
        port, token = _free_port(), secrets.token_hex(32)
        self.folder.mkdir()
        settings = AntispamSettings(listen=f"127.0.0.1:{port}") if self.asks else AntispamSettings()
        more = _module(settings, self.folder / "token", token) if self.asks else {}
        self.synapse = await Synapse.start(self.folder / "synapse", more=more)
        self.stack.push_async_callback(self.synapse.stop)
        owner, *self.people = [await self._person(f"person{number}") for number in range(1 + PEOPLE)]
        bot = await self._start_bot(owner, settings, token)
        self.room = await owner.create_room("bench", invite=[who.user for who in self.people])
        await asyncio.gather(*(who.join(self.room) for who in self.people))
        await owner.set_power(self.room, {bot: 100})
        await owner.invite(self.room, bot)
        await owner.wait_state(self.room, "m.room.pinned_events", bool, what="the bot to have begun")
        if settings.listen is not None:
            await _answers(settings.listen, token)

    async def _person(self, name: str) -> Client:
        account = await self.synapse.register(name, PASSWORD)
        client = Client(self.synapse.url, account.user, account.token)
        self.stack.push_async_callback(client.close)
        return client

    async def _start_bot(self, owner: Client, settings: AntispamSettings, token: str) -> str:
        bot = BotProcess(self.folder / "bot", "en")
        bot.folder.mkdir()
        account = await self.synapse.register("bot", PASSWORD)
        where = ("--homeserver", self.synapse.url, "--user", account.user, "--allow-invites", owner.user)
        ran = await bot.command("init", *where, "--password-stdin", "--yes", stdin=f"{PASSWORD}\n")
        if ran.code != 0:
            raise RuntimeError(f"answerable init: {ran.err}")
        with bot.config.open("a", encoding="utf-8") as file:
            file.write(rules())
            if settings.listen is not None:
                file.write(f'\n[antispam]\nlisten = "{settings.listen}"\n')
        with (bot.folder / ".env").open("a", encoding="utf-8") as file:
            file.write(f"\n{ANTISPAM_TOKEN}={token}\n")
        bot.start()
        self.stack.push_async_callback(bot.stop)
        await bot.until_ready()
        return account.user


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _module(settings: AntispamSettings, file: Path, token: str) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]  # it comes with Synapse

    file.write_text(token)
    return dict(yaml.safe_load(module_config(settings, str(file))))


async def _answers(listen: str, token: str) -> None:
    """Wait until the bot answers the module."""
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(_WAIT_S), aiohttp.ClientSession(headers=headers) as http:
        while True:
            try:
                async with http.post(f"http://{listen}/ping", json={"id": "bench"}) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=40, help="single messages a round")
    parser.add_argument("--each", type=int, default=20, help="messages of each of ten people at once, a round")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-antispam-"))
    try:
        yield from asyncio.run(sends(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def sends(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Return all figures of this part."""
    async with AsyncExitStack() as stack:
        asked, floor = Side(folder / "asked", True, stack), Side(folder / "floor", False, stack)
        for side in (asked, floor):
            await side.start()
        await singles(asked, floor, options.singles)  # warm up
        ours: list[float] = []
        other: list[float] = []
        refused: list[float] = []
        bursts: list[float] = []
        plain: list[float] = []
        for _ in range(options.rounds):
            for into, found in zip((ours, other, refused), await singles(asked, floor, options.singles), strict=True):
                into += found
            bursts.append(await burst(asked, options.each))
            plain.append(await burst(floor, options.each))
    return list(_figures(ours, other, refused, bursts, plain))


def _figures(
    ours: Sequence[float],
    other: Sequence[float],
    refused: Sequence[float],
    bursts: Sequence[float],
    plain: Sequence[float],
) -> Iterator[Figure]:
    without = "without the module"
    one, two = median(ours), median(other)
    yield Figure("a send, median", "ms", one, without, two, **at_most_times(SEND_TIMES, one, two))
    one, two = percentile(ours, 95), percentile(other, 95)
    yield Figure("a send, p95", "ms", one, without, two, **at_most_times(P95_TIMES, one, two))
    yield Figure("a refusal, median", "ms", median(refused), "a send without", median(other))
    one, two = median(bursts), median(plain)
    yield Figure("ten people at once, all sent", "s", one, without, two, **at_most_times(BURST_TIMES, one, two))


async def singles(asked: Side, floor: Side, count: int) -> tuple[list[float], list[float], list[float]]:
    """Send messages one at a time, on both sides in turn. Returns the times (ms) of both, and of what is refused."""
    ours: list[float] = []
    other: list[float] = []
    refused: list[float] = []
    for number in range(count):
        who = number % PEOPLE
        for side, into in ((asked, ours), (floor, other)):
            into.append(await _sent(side.people[who], side.room, f"a message, number {number}"))
        refused.append(await _sent(asked.people[who], asked.room, f"about {word(number % 8)}", refused=True))
    return ours, other, refused


async def _sent(who: Client, room: RoomId, words: str, *, refused: bool = False) -> float:
    began = time.perf_counter()
    try:
        await who.send_text(room, words)
    except MatrixError:
        assert refused, "it was to be sent"
    else:
        assert not refused, "it was to be refused"
    return (time.perf_counter() - began) * 1000


async def burst(side: Side, each: int) -> float:
    """Let ten people send at once. Returns the seconds until all is sent."""

    async def all_of(who: Client) -> None:
        for number in range(each):
            await who.send_text(side.room, f"one of many, number {number}")

    began = time.perf_counter()
    await asyncio.gather(*(all_of(who) for who in side.people))
    return time.perf_counter() - began


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
