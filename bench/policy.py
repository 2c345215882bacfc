"""The policy server: processor time of an answer, answers again, and what a send costs through it on a real Synapse.

    python -m bench.policy [--json FILE] [--terms N] [--answers N] [--sends N]

Answers are of one process with its HTTP, its store on the disk, and a raw client in the same process. They are about
messages of 100 people in turn, or of strangers, each of whom is read from the tables. A rule of `--terms` terms judges
them. Floor of an answer: the same bytes by aiohttp, and what the protocol asks of any policy server (two signatures
verified, one made). All times but that of a send are processor time.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from bot.demo.authority import TlsAuthority
from bot.demo.federated_synapse import FederatedSynapse
from bot.federation.pdu import Pdu
from bot.federation.room_versions import room_version
from bot.federation.strict_json import parse_strictly
from bot.federation.x_matrix import origin_of
from bot.policy_server.pace import OriginPace
from bot.policy_server.rooms import PolicyRooms
from bot.policy_server.server import MOST_BODY, SIGN, PolicyPages
from tests.door.bot.policy_server.asked import NAME, Asked, StaysOut, asked
from tests.long.federation.protected import protected_room
from tests.people.client import Client
from tests.theatre.stage import Stage, text

from .figures import Figure, at_least, at_most, at_most_times, measure, percentile

PEOPLE = 100
MEDIAN_MS, SLOWEST_MS, AGAIN, SEND = 1.0, 5.0, 2_000, 1.15
SERVER = "example.org"


def rules(terms: int) -> str:
    """Return a rule with so many terms."""
    listed = ", ".join(f'"badword{number:05}"' for number in range(terms))
    return f'[[rules]]\nname = "terms"\nkind = "terms"\nterms = [{listed}]\n'


def requests(server: Asked, number: int, people: int) -> list[bytes]:
    """Return signed requests about messages of so many people in turn, as bytes on a connection."""
    made = []
    for each in range(number):
        words = {
            "msgtype": "m.text",
            "body": f"An ordinary message of some length, the {each}th of its kind, to everybody",
        }
        event = server.homeservers.event(f"@member{each % people}:{SERVER}", words, at_ms=server.now_ms)
        header = server.homeservers.header(event, SIGN)["Authorization"]
        body = orjson.dumps(event)
        head = f"POST {SIGN} HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: {header}\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return made


async def spent(port: int, asked_for: Sequence[bytes]) -> list[float]:
    """Return the processor time (ms) of each request, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for each in asked_for:
        began = time.process_time()
        writer.write(each)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        found.append((time.process_time() - began) * 1_000)
    writer.close()
    return found


@asynccontextmanager
async def listening(handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """Serve, and yield the port."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


def floor_of(server: Asked) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Return what any policy server does that judges nothing and keeps nothing."""

    async def sign(request: web.BaseRequest) -> web.StreamResponse:
        event = parse_strictly(await request.read(), MOST_BODY)
        headers = request.headers.getall("Authorization")
        await origin_of(headers, request.method, request.raw_path, event, ours=NAME, keys=server.homeservers)
        pdu = Pdu.of(event, room_version("11"))
        await server.homeservers.event_is_signed(pdu, SERVER)
        answer = {NAME: {"ed25519:policy_server": pdu.signature(server.own)}}
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    return sign


async def answers(options: argparse.Namespace) -> list[Figure]:
    """Measure answers, new ones and again."""

    async def no_pages(_request: web.BaseRequest) -> None:
        return None

    with tempfile.TemporaryDirectory(prefix="bench-policy-") as folder:
        async with asked(Path(folder), rules(options.terms)) as server:
            rooms = PolicyRooms(server.tables, server.store, StaysOut(), server.bot.time)
            keys, pace = server.homeservers, OriginPace(at_once=1_000_000)
            pages = PolicyPages(
                NAME, server.own.public, server.answering, rooms, keys, server.figures, no_pages, str, pace
            )
            server.homeservers.key(SERVER)
            first = requests(server, PEOPLE, PEOPLE)
            wanted = requests(server, PEOPLE + options.answers, PEOPLE)[PEOPLE:]
            strangers = requests(server, PEOPLE + options.answers, PEOPLE + options.answers)[PEOPLE:]
            async with listening(pages.handle) as ours, listening(floor_of(server)) as floor:
                await spent(ours, first)
                new = await spent(ours, wanted)
                again = await spent(ours, wanted)
                least = await spent(floor, wanted)
                unread = await spent(ours, strangers)
    assert server.counted()["judged"] == PEOPLE + 2 * options.answers
    median, slowest, floor_ms = statistics.median(new), percentile(new, 99), statistics.median(least)
    rate, read_ms = 1_000 / statistics.mean(again), statistics.median(unread)
    return [
        Figure(
            "a new answer, median", "ms", median, "judges, keeps nothing", floor_ms, **at_most(MEDIAN_MS, median, "ms")
        ),
        Figure("a new answer, 99 of 100", "ms", slowest, **at_most(SLOWEST_MS, slowest, "ms")),
        Figure("a new answer about a stranger, median", "ms", read_ms, "judges, keeps nothing", floor_ms),
        Figure("the same answer again", "/s", rate, **at_least(AGAIN, rate, "/s")),
    ]


async def sends(options: argparse.Namespace) -> list[Figure]:
    """Measure a send in a room that asks, in turn with one that does not."""
    with tempfile.TemporaryDirectory(prefix="bench-policy-") as name:
        folder = Path(name)
        authority = TlsAuthority(folder)
        homeserver = await FederatedSynapse.start_federated(folder / "synapse", authority)
        try:
            async with Stage(homeserver) as stage, protected_room(homeserver, authority, stage, folder / "bot") as room:
                other = await stage.room(room.owner, room.member)
                for each in (room.room, other):
                    await _took(room.member, each)
                through, without = [], []
                for _ in range(options.sends):
                    through.append(await _took(room.member, room.room))
                    without.append(await _took(room.member, other))
        finally:
            await homeserver.stop()
    ours, floor = statistics.median(through), statistics.median(without)
    return [Figure("a send", "ms", ours, "in a room without", floor, **at_most_times(SEND, ours, floor))]


async def _took(who: Client, room: Any) -> float:
    began = time.perf_counter()
    await who.send(room, "m.room.message", text("an ordinary message"))
    return (time.perf_counter() - began) * 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this part."""
    parser.add_argument("--terms", type=int, default=10_000)
    parser.add_argument("--answers", type=int, default=2_000)
    parser.add_argument("--sends", type=int, default=100)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Measure."""
    yield from asyncio.run(answers(options))
    if options.sends:
        yield from asyncio.run(sends(options))


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
