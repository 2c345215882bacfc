"""The page of a standby says whether this machine follows and could lead, and becomes the leader's without a gap."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from bot.account.key_files import note_key_files
from bot.cli import run
from bot.config.config import Config, parse_config
from bot.config.database import DATABASE_URL
from bot.leading import standby as module
from bot.leading.lead import Lead
from bot.monitoring.page import WatchPage
from bot.monitoring.systemd import ServiceManager
from moderation.values.errors import Refused
from storage.database.database import Database
from storage.database.moved import Move, note_move
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.ports import free_port
from tests.postgres.server import Server

_LOOK_S = 0.01  # so that the process in this one has a processor, too
HEAD = '[homeserver]\nurl = "{url}"\nuser = "{user}"\n[watch]\nlisten = "127.0.0.1:{port}"\n'


class Machines:
    """A machine whose process leads, and another whose process stands by."""

    def __init__(self, folder: Path, database: str, homeserver: SimulatedHomeserver) -> None:
        user, token, device = homeserver.account("answerable")
        secrets = {"ANSWERABLE_ACCESS_TOKEN": token, "ANSWERABLE_DEVICE_ID": device, DATABASE_URL: database}
        self.port = free_port()
        text = HEAD.format(url=homeserver.url, user=user, port=self.port)
        self.one, self.other = (self._config(folder / name, text, secrets) for name in ("one", "other"))
        lead = Lead.take(self.one)
        assert lead is not None
        self.lead = lead
        shutil.copytree(self.one.data_dir / "keys", self.other.data_dir / "keys")
        self.seen: list[tuple[int, str, tuple[str, ...]]] = []  # answers, without repetitions

    @staticmethod
    def _config(folder: Path, text: str, secrets: dict[str, str]) -> Config:
        (folder / "data").mkdir(parents=True)
        return parse_config(folder / "config.toml", text, secrets)

    @asynccontextmanager
    async def standing_by(self) -> "AsyncIterator[asyncio.Task[None]]":
        """Yield the process that stands by, once its page is open."""
        stop, page = asyncio.Event(), WatchPage(self.other.watch.listen)
        async with page.served():
            await page.listening.wait()
            runs = asyncio.create_task(
                run._serve_if_leading(self.other, stop, ServiceManager(None, None), page, standby=True)
            )
            try:
                yield runs
            finally:
                stop.set()
                await asyncio.wait({runs})

    async def until(self, role: str, *reasons: str) -> None:
        """Ask for the page until it says so. Raises `ClientError` if the port is closed at any moment."""
        wanted = (503 if reasons else 200, role, reasons)
        while not self.seen or self.seen[-1] != wanted:
            if (found := await self._ask()) not in self.seen[-1:]:
                self.seen.append(found)
            await asyncio.sleep(_LOOK_S)

    async def _ask(self) -> tuple[int, str, tuple[str, ...]]:
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.port}/health") as answer:
            said: dict[str, Any] = await answer.json()
            assert said["healthy"] == (answer.status == 200)
            return answer.status, said["role"], tuple(said["reasons"])


@pytest.fixture
async def machines(tmp_path: Path, postgres_url: str) -> AsyncIterator[Machines]:
    async with SimulatedHomeserver() as homeserver:
        made = Machines(tmp_path, postgres_url, homeserver)
        yield made
        await asyncio.to_thread(made.lead.end)


async def test_the_page_of_a_standby_becomes_that_of_the_leader(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, opened = asyncio.Event(), run._session

    async def session(*given: Any) -> Any:
        await there.wait()
        return await opened(*given)

    monkeypatch.setattr(run, "_session", session)
    async with machines.standing_by():
        await machines.until("standby")
        await asyncio.to_thread(machines.lead.end)
        await machines.until("leader", "starting")
        there.set()
        await machines.until("leader")
    roles = [role for _, role, _ in machines.seen]
    assert roles == sorted(roles, key=["starting", "standby", "leader"].index)


def lose_key(machines: Machines, url: str) -> None:
    (machines.other.data_dir / "keys" / "log.key").rename(machines.other.data_dir / "lost.key")


def make_newer(machines: Machines, url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("UPDATE answerable.alembic_version SET version_num = '9999'")


def move_away(machines: Machines, url: str) -> None:
    with psycopg.connect(url) as db:
        note_move(db, machines.one.place, Move("out", "id", 1))


@pytest.mark.parametrize(
    ("happens", "reason", "refusal"),
    [
        (lose_key, "keys", "cli.run.keys_missing"),
        (make_newer, "newer", "database.newer"),
        (move_away, "moved", "database.moved_to_files"),
    ],
)
async def test_a_standby_that_may_not_lead_any_more_says_why_and_does_not(
    machines: Machines,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Machines, str], None],
    reason: str,
    refusal: str,
) -> None:
    monkeypatch.setattr(module, "_CHECK_S", 0)
    with machines.lead.guards():
        await (await Database.open(machines.one.place, epoch=machines.lead.epoch)).close()
        await asyncio.to_thread(note_key_files, machines.one.place, machines.lead.epoch)
    async with machines.standing_by() as runs:
        await machines.until("standby")
        happens(machines, postgres_url)
        await machines.until("standby", reason)
        await asyncio.to_thread(machines.lead.end)
        with pytest.raises(Refused) as refused:
            await runs
    assert refused.value.key == refusal
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT epoch FROM answerable_shared.shards").fetchone() == (1,)


async def test_a_standby_says_that_the_database_is_away_until_it_is_back(tmp_path: Path, own_postgres: Server) -> None:
    async with SimulatedHomeserver() as homeserver:
        machines = Machines(tmp_path, own_postgres.url(), homeserver)
        try:
            async with machines.standing_by():
                await machines.until("standby")
                await asyncio.to_thread(own_postgres.stop)
                await machines.until("standby", "database_away")
                await asyncio.to_thread(own_postgres.start)
                await machines.until("standby")
        finally:
            await asyncio.to_thread(machines.lead.end)
