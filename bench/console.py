"""The cost of the web console's pages, with a million records and 5,000 cases.

    python -m bench console [--json FILE] [--records N] [--rounds N]

`answerable console run` is a process of its own, on a deployment as `bench.cli` writes it. Each page is asked for over
one connection, in turn with a page of the same size by a server that only sends it (aiohttp, the floor). "cpu" is the
processor time of the server; "first byte" is what a browser waits for. Everything is warm: each page is opened first.
"""

import argparse
import asyncio
import contextlib
import gzip
import os
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientResponse, ClientSession, CookieJar, web

from bench.cli import DAY_MS, NOON, ROOT, answerable, deployment
from bench.figures import Figure, at_most, at_most_times, measure, percentile
from bench.scale import PEOPLE, sanction, text
from bench.simulated import OWNER, Deployment, person, rules
from bench.simulated import deployment as simulated
from bot.console.sessions import make_link
from moderation.values.ids import UserId
from storage.database.place import FILE

HEADERS = {"Sec-Fetch-Site": "same-origin"}
PAGE_KB, STYLE_KB, SCRIPT_KB, MEMORY_MB = 10, 6, 3, 90
CPU_MS, CPU_LONG_MS = 15, 25  # a page; with 50 rows or 60 charges
FIRST_BYTE_MS, FIRST_BYTE_P95_MS = 20, 50
FLOOR = "aiohttp alone"


MANY_CHARGES, CHARGES, ROOM = "@p1:example.org", 60, "!room1:example.org"
COMMON = "about this and that"  # stands in every message
HIT_S, DECISION_S, SLOWER = 0.5, 0.3, 1.05
MANAGED = """
[[rules]]
name = "tickets"
kind = "terms"
class = "moderate"
decide = "manager"
terms = ["to be decided"]
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that is measured."""

    name: str
    path: str
    cpu_ms: int = CPU_MS


PAGES = (
    Page("overview", "/"),
    Page("queue", "/cases?tab=all", CPU_LONG_MS),
    Page("case", "/cases/17"),
    Page("people", "/people", CPU_LONG_MS),
    Page("person", f"/people/{MANY_CHARGES}", CPU_LONG_MS),
    Page("rooms", "/rooms", CPU_LONG_MS),
    Page("room", "/rooms/G-722K"),
    Page("records", "/records", CPU_LONG_MS),
    Page("record", "/records/50"),
    Page("proof", "/records/50/proof"),
    Page("figures", "/figures"),
    Page("reads", "/reads"),
    Page("duty", "/duty"),
    Page("settings", "/settings"),
)


def main() -> None:
    measure(__doc__, add_arguments, run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--records", type=int, default=1_000_000)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-console-"))
    try:
        asyncio.run(deployment(folder, options.records))
        charge(folder / "data")
        with asyncio.Runner() as runner:
            figures = console(folder, options.rounds)
            while (figure := runner.run(_next(figures))) is not None:
                yield figure
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _next(figures: AsyncGenerator[Figure]) -> Figure | None:
    return await anext(figures, None)


async def console(folder: Path, rounds: int, *, live: bool = True) -> AsyncGenerator[Figure]:
    """Yield the figures of the console on a deployment; `live`: those that need a running bot, too."""
    port, floor_port = _free_port(), _free_port()
    config = folder / "config.toml"
    config.write_text(f'{config.read_text("utf-8")}\n[console]\nlisten = "127.0.0.1:{port}"\n', "utf-8")
    serving = answerable("console", "run", "--config", str(config))
    floor = [sys.executable, "-m", "bench.console", "--serve", str(floor_port)]
    async with (
        _process(serving, port) as pid,
        _process(floor, floor_port) as idle,
        _browser(folder / "data", port) as browser,
    ):
        async with browser.post(
            f"http://127.0.0.1:{port}/cases/17/read", data={"reason": "how long it takes"}
        ) as answer:
            assert answer.status == 200, answer.status
        for page in PAGES:
            async for figure in _page(browser, page, (pid, port), (idle, floor_port), rounds):
                yield figure
        async for figure in _files(browser, port):
            yield figure
        search = Search(browser, port)
        hits = [await search.first_hit_s() for _ in range(rounds)]
        yield Figure("search: first hit p50", "s", percentile(hits, 50), **at_most(HIT_S, percentile(hits, 50), "s"))
        if live:
            async for figure in with_bot(folder / "bot", search, rounds):
                yield figure
        memory = _memory_mb(pid)
        yield Figure("memory", "MB", memory, **at_most(MEMORY_MB, memory, "MB"))


async def _page(
    browser: ClientSession, page: Page, ours: tuple[int, int], floor: tuple[int, int], rounds: int
) -> AsyncGenerator[Figure]:
    shown = await _text(browser, ours[1], page.path)
    size = len(gzip.compress(shown))
    yield Figure(f"{page.name}: size", "kB", size / 1000, **at_most(PAGE_KB, size / 1000, "kB"))
    padded = f"/{len(shown)}"
    waits, floor_waits = list[float](), list[float]()
    cpu = floor_cpu = 0.0
    for _ in range(rounds):
        for path, (pid, port), times in ((page.path, ours, waits), (padded, floor, floor_waits)):
            before = _cpu_ms(pid)
            times.append(await _first_byte_ms(browser, port, path))
            spent = _cpu_ms(pid) - before
            cpu, floor_cpu = (cpu + spent, floor_cpu) if pid == ours[0] else (cpu, floor_cpu + spent)
    cpu, floor_cpu = cpu / rounds, floor_cpu / rounds
    yield Figure(f"{page.name}: cpu", "ms", cpu, FLOOR, floor_cpu, **at_most(page.cpu_ms, cpu, "ms"))
    for percent, limit in ((50, FIRST_BYTE_MS), (95, FIRST_BYTE_P95_MS)):
        mine, other = (percentile(each, percent) for each in (waits, floor_waits))
        yield Figure(f"{page.name}: first byte p{percent}", "ms", mine, FLOOR, other, **at_most(limit, mine, "ms"))


async def _files(browser: ClientSession, port: int) -> AsyncGenerator[Figure]:
    shown = (await _text(browser, port, "/cases")).decode()
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', shown):
        limit = STYLE_KB if path.endswith(".css") else SCRIPT_KB
        size = len(gzip.compress(await _text(browser, port, path))) / 1000
        yield Figure(path.rpartition(".")[2], "kB", size, **at_most(limit, size, "kB"))


def charge(data_dir: Path) -> None:
    """Write charges against one person into the tables."""
    columns = "record, person, user, at, entry, cost, grade, rule, n, room, undoes, ledger"
    rest = ("charge", 3, "minor", "a-rule")
    rows = [
        (10**7 + number, *(MANY_CHARGES,) * 2, NOON + number * DAY_MS // 3, *rest, number + 1, ROOM, -1, "credit")
        for number in range(CHARGES)
    ]
    with closing(sqlite3.connect(data_dir / FILE)) as db, db:
        db.executemany(f"INSERT INTO credit ({columns}) VALUES ({', '.join('?' * 12)})", rows)


@dataclass(frozen=True, slots=True)
class Search:
    """A search through the whole log, by an operator who has said why."""

    browser: ClientSession
    port: int

    async def first_hit_s(self) -> float:
        """Return the seconds until the first hit of a search is there, and stop it."""
        began = time.perf_counter()
        async with self._found(COMMON) as answer:
            text = b""
            while COMMON.encode() not in text.partition(b"<ol")[2]:
                text += await answer.content.readany()
            took = time.perf_counter() - began
        await self.stop()
        return took

    async def for_nothing(self) -> None:
        """Search for what nobody wrote, to the end of the log, again and again until cancelled."""
        while True:
            async with self._found("nobody wrote this") as answer:
                await answer.read()

    async def stop(self) -> None:
        """Stop what is being searched."""
        async with self.browser.post(f"http://127.0.0.1:{self.port}/records/stop", data={}) as answer:
            await answer.read()

    @contextlib.asynccontextmanager
    async def _found(self, words: str) -> AsyncIterator[ClientResponse]:
        address, asked = f"http://127.0.0.1:{self.port}/records", {"q": words}
        form = {**asked, "reason": "how long it takes"}
        async with self.browser.post(f"{address}/read", data=form, allow_redirects=False) as answer:
            assert answer.status == 303, answer.status
        async with self.browser.get(address, params=asked) as answer:
            yield answer


async def with_bot(folder: Path, search: Search, rounds: int) -> AsyncGenerator[Figure]:
    """Yield the figures that need a running bot: a decision in the page, and the bot's speed while others search."""
    port = _free_port()
    settings = f'{rules()}{MANAGED}[console]\nlisten = "127.0.0.1:{port}"\n'
    async with simulated(folder, settings) as bot:
        await bot.enter([[person(number) for number in range(max(PEOPLE, rounds))]])
        serving = answerable("console", "run", "--config", str(bot.bot.config))
        async with _process(serving, port), _browser(bot.bot.folder, port, OWNER) as browser:
            times = [await _decision_s(bot, browser, port) for _ in range(rounds)]
            p95 = percentile(times, 95)
            yield Figure("decision to next page p95", "s", p95, **at_most(DECISION_S, p95, "s"))
        quiet, searching = list[float](), list[float]()
        for number in range(rounds):
            quiet.append(await sanction(bot, number) * 1000)
            task = asyncio.create_task(search.for_nothing())
            await asyncio.sleep(0.2)  # until it is under way
            searching.append(await sanction(bot, number) * 1000)
            task.cancel()
            await search.stop()
        ours, floor = percentile(searching, 50), percentile(quiet, 50)
        yield Figure(
            "redaction while searching", "ms", ours, "nobody searches", floor, **at_most_times(SLOWER, ours, floor)
        )


async def _decision_s(bot: Deployment, browser: ClientSession, port: int) -> float:
    """Measure the second press on a decision, until the page after it is there."""
    before = bot.rows("SELECT max(n) FROM cases")[0][0] or 0  # each by somebody else, or one case would grow
    await bot.say((bot.rooms[0], person(before), "m.room.message", text("to be decided"), None))
    await bot.until(lambda: bot.rows("SELECT 1 FROM cases WHERE n > ?", before), "a case")
    await bot.idle()
    [(n,)] = bot.rows("SELECT max(n) FROM cases")
    seen = re.search(rb'name="seen" value="(\d+)"', await _text(browser, port, f"/cases/{n}"))
    assert seen
    form = {"what": "uphold", "reason": "how long it takes", "seen": seen[1].decode(), "sure": "1"}
    began = time.perf_counter()
    async with browser.post(f"http://127.0.0.1:{port}/cases/{n}/decide", data=form) as answer:
        await answer.read()
        took = time.perf_counter() - began
        assert answer.status == 200, (answer.status, await answer.text())
    assert bot.rows("SELECT outcome FROM cases WHERE n = ?", n) == [("upheld",)]
    return took


async def _text(browser: ClientSession, port: int, path: str) -> bytes:
    async with browser.get(f"http://127.0.0.1:{port}{path}", headers=HEADERS) as answer:
        assert answer.status == 200, (path, answer.status)
        return await answer.read()


async def _first_byte_ms(browser: ClientSession, port: int, path: str) -> float:
    began = time.perf_counter()
    async with browser.get(f"http://127.0.0.1:{port}{path}", headers=HEADERS) as answer:
        took = (time.perf_counter() - began) * 1000
        await answer.read()
        return took


@contextlib.asynccontextmanager
async def _browser(data_dir: Path, port: int, operator: str = "") -> AsyncIterator[ClientSession]:
    """Yield a browser with an operator in it."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True), headers=HEADERS) as browser:
        link = make_link(data_dir, "bench", UserId(operator), time.time_ns() // 1_000_000)
        async with browser.post(f"http://127.0.0.1:{port}/enter/{link}", data={}, allow_redirects=False) as answer:
            assert answer.status == 303, answer.status
        yield browser


@contextlib.asynccontextmanager
async def _process(command: list[str], port: int) -> AsyncIterator[int]:
    """Start a server, wait until it listens, and yield its process number."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            assert process.returncode is None, command
            await asyncio.sleep(0.05)
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _cpu_ms(pid: int) -> float:
    """Return the processor time of a process's threads that are there."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def _memory_mb(pid: int) -> float:
    """Return the memory that belongs to a process alone, and its share of what it has with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def _serve_floor(port: int) -> None:
    """Serve pages of any size that need no work: ``/4711`` has so many bytes."""

    async def padded(request: web.Request) -> web.Response:
        answer = web.Response(body=b"<p>word " * (int(request.match_info["size"]) // 8), content_type="text/html")
        answer.enable_compression()
        return answer

    app = web.Application()
    app.router.add_get("/{size}", padded)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve_floor(int(sys.argv[2]))
    else:
        main()
