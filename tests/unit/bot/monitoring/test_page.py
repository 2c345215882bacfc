"""The pages, over real sockets, a real database and a real log."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert

from bot.monitoring.health import leader_report
from bot.monitoring.page import WatchPage
from bot.monitoring.pulse import Pulse
from bot.monitoring.report import HealthReport, starting
from bot.monitoring.trusted_time import Doubt
from bot.monitoring.vitals import Looker
from bot.runtime.clock import wall_clock
from storage import schema
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record_keys import PersonKeys
from tests.fakes.ports import free_port


class Watched:
    """A page and the things that it monitors."""

    def __init__(self, data_dir: Path, database: Database, journal: Journal) -> None:
        self.heard_ms = wall_clock()
        self.doubt: Doubt | None = None
        self.ahead_ms = self.steady_ms = 0
        self.port = free_port()
        self.database = database
        self.looker = Looker(
            database=database,
            journal=journal,
            data_dir=data_dir,
            clock=lambda: wall_clock() + self.ahead_ms,
            steady=lambda: wall_clock() + self.steady_ms,
            pulse=Pulse(),
            heard_ms=lambda: self.heard_ms,
            undecryptable=self._undecryptable,
            keys_lost=lambda: False,
            doubts=lambda: self.doubt,
            tables_differ=lambda: False,
        )
        self.page = WatchPage(f"127.0.0.1:{self.port}")

    async def report(self) -> HealthReport:
        return leader_report(await self.looker.look())

    async def _undecryptable(self) -> int:
        return 3

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, f"http://127.0.0.1:{self.port}{path}", headers=headers) as answer,
        ):
            return answer.status, answer.headers.get("Content-Type", ""), await answer.text()

    async def metrics(self) -> dict[str, float]:
        _, _, text = await self.get("/metrics")
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}

    def look_anew(self) -> None:
        """Do not share the last look."""
        self.looker._last = None


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    database, keys = await Database.open(DatabasePlace(tmp_path)), PersonKeys.open(DatabasePlace(tmp_path))
    journal = Journal.open(tmp_path, "example.org/log", keys, wall_clock())
    made = Watched(tmp_path, database, journal)
    async with made.page.served():
        await made.page.listening.wait()
        with made.page.showing(made.report):
            yield made
    journal.close(wall_clock())
    keys.close()
    await database.close()


async def test_healthy_is_200_and_unhealthy_is_503_with_reasons(watched: Watched) -> None:
    assert await watched.get("/health") == (200, "application/json", '{"healthy":true,"role":"leader","reasons":[]}')
    watched.ahead_ms = 121_000
    watched.look_anew()
    assert await watched.get("/health") == (
        503,
        "application/json",
        '{"healthy":false,"role":"leader","reasons":["homeserver_silent"]}',
    )
    watched.heard_ms = 0
    watched.look_anew()
    assert (await watched.get("/health"))[0::2] == (503, '{"healthy":false,"role":"leader","reasons":["starting"]}')


async def test_what_is_shown_changes_while_the_port_stays_open(watched: Watched) -> None:
    with watched.page.showing(starting):
        assert await watched.get("/health") == (
            503,
            "application/json",
            '{"healthy":false,"role":"starting","reasons":["starting"]}',
        )
    assert (await watched.get("/health"))[2] == '{"healthy":true,"role":"leader","reasons":[]}'


async def test_without_an_address_nothing_listens() -> None:
    async with (page := WatchPage(None)).served():
        assert not page.listening.is_set()


async def test_a_doubt_about_the_clock_is_unhealthy_until_it_is_over(watched: Watched) -> None:
    doubts: tuple[Doubt, ...] = ("homeserver", "jump", "unheard")
    for watched.doubt in doubts:
        watched.look_anew()
        assert (await watched.get("/health"))[0::2] == (503, '{"healthy":false,"role":"leader","reasons":["clock"]}')
    watched.doubt = None
    watched.look_anew()
    assert (await watched.get("/health"))[0] == 200


async def test_numbers_are_those_of_the_database_and_the_log(watched: Watched) -> None:
    now = wall_clock()
    async with watched.database.write() as db:
        await db.execute(insert(schema.outbox), [_row(1, queued=now - 100_000), _row(2, not_before=now + 10**9)])
        await db.execute(insert(schema.gaps), [{"room": "!a"}])
        await db.execute(
            insert(schema.cases), [_case(1, "open", now + 10**9), _case(2, "open", 1), _case(3, "overdue", 0)]
        )
    found = await watched.metrics()
    names = (
        "gaps_open",
        "outbox_waiting",
        "undecryptable_events",
        "cases_open",
        "cases_overdue",
        "journal_records",
        "healthy",
    )
    assert [found[f"answerable_{name}"] for name in names] == [1, 2, 3, 3, 2, 1, 1]
    assert 100 <= found["answerable_outbox_oldest_seconds"] <= 200


async def test_stuck_is_measured_from_queueing_whatever_the_clock_does(
    watched: Watched,
) -> None:
    now = wall_clock()
    async with watched.database.write() as db:
        rows = [_row(1, queued=now + 800_000), _row(2, queued=now), _row(3, queued=now - 10**9, not_before=now + 10**9)]
        await db.execute(insert(schema.outbox), rows)
    for steady_ms, oldest_s, expected in ((800_000, 800, "[]"), (901_000, 901, '["outbox_stuck"]')):
        for ahead_ms in (0, -3_600_000):
            watched.steady_ms, watched.ahead_ms = steady_ms, ahead_ms
            watched.heard_ms = now + ahead_ms
            watched.look_anew()
            assert oldest_s <= (await watched.metrics())["answerable_outbox_oldest_seconds"] <= oldest_s + 90
            assert (await watched.get("/health"))[2].endswith(f'"reasons":{expected}}}')


async def test_uptime_does_not_fall_when_the_clock_is_set_back(watched: Watched) -> None:
    watched.steady_ms, watched.ahead_ms = 100_000, -3_600_000
    assert 100 <= (await watched.metrics())["answerable_up_seconds"] <= 200


async def test_frequent_requests_get_the_same_snapshot(watched: Watched) -> None:
    first = await watched.looker.look()
    assert all([await watched.looker.look() is first for _ in range(50)])


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/", "GET", {}, 404),
        ("/health/", "GET", {}, 404),
        ("/metrics", "POST", {}, 404),
        ("/metrics?name=x", "GET", {}, 200),
        ("/health", "GET", {"Host": "localhost:1"}, 200),
        ("/health", "GET", {"Host": "[::1]:1"}, 200),
        ("/health", "GET", {"Host": "evil.example"}, 421),
        ("/metrics", "GET", {"Host": "127.0.0.1.evil.example:8420"}, 421),
    ],
)
async def test_nobody_else_is_answered(
    watched: Watched, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    assert (await watched.get(path, method, **headers))[0] == status


def _row(number: int, not_before: int = 0, queued: int = 0) -> dict[str, Any]:
    waits = {"not_before": not_before, "queued": queued}
    return {"txn": str(number), "priority": 1, "action": "{}", "record": 1, **waits}


def _case(n: int, state: str, due: int) -> dict[str, Any]:
    return {"n": n, "record": n, "room": "!a", "subject": "@a:b", "person": "@a:b", "rule": "r", "grade": "minor",
            "decide": "manager", "manages": 0, "state": state, "opened": 1, "due": due}  # fmt: skip
