"""Two machines are updated across a change of the tables: what docs/scale.md says ("Update two machines")."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.cli.terminal.output import text
from bot.config.database import DATABASE_URL
from storage.database.place import shown
from storage.database.schemas import schemas
from storage.journal.days import DayLines
from storage.journal.verify.verify import verify
from tests.fakes.homeserver import SimulatedHomeserver
from tests.postgres.newer_version import newer_migrations
from tests.theatre.forked_command import WITHIN_S, ForkedProgram

HEAD = '[homeserver]\nurl = "{url}"\nuser = "{user}"\n[bot]\nlog = "json"\n'
OLDER = schemas()[-1]
REFUSED = 2


class Machine:
    """One machine, on which an older or a newer version of the program runs."""

    def __init__(self, folder: Path, config: str, environ: dict[str, str], newer: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self._environ = {**os.environ, **environ}
        self._newer = newer
        self._log = folder / "log"
        self._program: ForkedProgram | None = None
        (folder / "config.toml").write_text(config)

    def start(self, *options: str, newer: bool = False) -> None:
        """Start the bot; its log begins empty."""
        self._log.write_text("")
        module, first = ("tests.postgres.newer_version", [str(self._newer)]) if newer else ("bot.cli.main", [])
        arguments = (*first, "run", *options, "--config", str(self.folder / "config.toml"))
        self._program = ForkedProgram(module, *arguments, folder=self.folder, output=self._log, environ=self._environ)

    def ends(self) -> None:
        """Kill the program if it runs."""
        if self._program is not None:
            self._program.kill()

    async def stop(self) -> int:
        assert self._program is not None
        self._program.terminate()
        return await self.ended()

    async def ended(self) -> int:
        await until(lambda: self._program is not None and self._program.poll() is not None, self.log)
        assert self._program is not None
        return self._program.wait()

    async def says(self, event: str) -> None:
        await until(lambda: event in [each["event"] for each in self.events()], self.log)

    def log(self) -> str:
        return self._log.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{") and line.endswith("}")]

    def printed(self) -> list[str]:
        """Return the lines that are for the person at the terminal."""
        return [line for line in self.log().splitlines() if not line.startswith("{")]

    def lines(self) -> list[bytes]:
        days = sorted((self.data / "records" / "day").iterdir())
        return [line for day in days for line in DayLines(day).each()]


class Pair:
    """Two machines with one database and one homeserver."""

    def __init__(self, folder: Path, url: str, homeserver: SimulatedHomeserver) -> None:
        user, token, device = homeserver.account("answerable")
        environ = {"ANSWERABLE_ACCESS_TOKEN": token, "ANSWERABLE_DEVICE_ID": device, DATABASE_URL: url}
        self.newer = newer_migrations(folder / "newer")
        config = HEAD.format(url=homeserver.url, user=user)
        self.one, self.two = (Machine(folder / name, config, environ, folder / "newer") for name in ("one", "two"))
        self.url = url

    def copy_keys(self) -> None:
        shutil.copytree(self.one.data / "keys", self.two.data / "keys")

    def schema(self) -> str:
        return str(self._value("SELECT version_num FROM answerable.alembic_version"))

    def epoch(self) -> int:
        return int(self._value("SELECT epoch FROM answerable_shared.shards"))

    def table(self) -> list[bytes]:
        with psycopg.connect(self.url) as db:
            return [line for (line,) in db.execute("SELECT line FROM answerable_shared.log ORDER BY idx")]

    def _value(self, query: str) -> Any:
        with psycopg.connect(self.url) as db:
            row = db.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


async def until(true: Callable[[], bool], why: Callable[[], str]) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + WITHIN_S
    while not true():
        assert loop.time() < ends, why()
        await asyncio.sleep(0.02)


@pytest.fixture
async def pair(tmp_path: Path, postgres_url: str) -> AsyncIterator[Pair]:
    """Provide a leader and a standby of the older version, the standby stopped."""
    async with SimulatedHomeserver() as homeserver:
        made = Pair(tmp_path, postgres_url, homeserver)
        try:
            made.one.start("--standby")
            await made.one.says("ready")
            made.copy_keys()
            made.two.start("--standby")
            await made.two.says("standing_by")
            assert await made.two.stop() == 0
            yield made
        finally:
            made.one.ends()
            made.two.ends()


async def test_an_updated_standby_follows_an_older_leader_and_migrates_only_when_it_leads(pair: Pair) -> None:
    pair.two.start("--standby", newer=True)
    await pair.two.says("standing_by")
    assert (pair.schema(), pair.epoch()) == (OLDER, 1)
    assert await pair.one.stop() == 0
    await pair.two.says("ready")
    assert (pair.schema(), pair.epoch()) == (pair.newer, 2)
    assert [each["event"] for each in pair.two.events()].count("migrating") == 1
    pair.one.start("--standby", newer=True)
    await pair.one.says("standing_by")
    await both_stop(pair, leader=pair.two, standby=pair.one)


async def test_a_machine_of_the_older_version_refuses_newer_tables_in_one_line_and_takes_no_lead(pair: Pair) -> None:
    assert await pair.one.stop() == 0
    pair.one.start("--standby", newer=True)
    await pair.one.says("ready")
    assert pair.schema() == pair.newer
    before = pair.epoch()
    for leads in (True, False):
        if not leads:
            assert await pair.one.stop() == 0
        for options in (("--standby",), ()):
            pair.two.start(*options)
            assert await pair.two.ended() == REFUSED
            assert pair.two.printed() == [newer_words(pair)]
    assert (pair.schema(), pair.epoch()) == (pair.newer, before)
    pair.two.start("--standby", newer=True)
    await pair.two.says("ready")
    pair.one.start("--standby", newer=True)
    await pair.one.says("standing_by")
    await both_stop(pair, leader=pair.two, standby=pair.one)


def newer_words(pair: Pair) -> str:
    return text("database.newer", where=shown(pair.url), schema=pair.newer)


async def both_stop(pair: Pair, *, leader: Machine, standby: Machine) -> None:
    """Hand over to the standby, and stop that, too: the table and the files of the last leader agree, and verify."""
    assert await leader.stop() == 0
    await standby.says("ready")
    assert await standby.stop() == 0
    assert pair.table() == standby.lines()
    assert leader.lines() == standby.lines()[: len(leader.lines())]
    for machine in (leader, standby):
        assert verify(machine.data / "records").problems == ()
