"""A bot on two machines: two data directories, one database on PostgreSQL, and a homeserver.

Rules kept here:
- Both are started as standbys; the first leads. If the leader dies, the other one takes over, and the dead one comes
  back as a standby once that has happened: each death moves the lead.
- What both know is read from the database; the records are those of the machine that leads at the end.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from bot.config.database import DATABASE_URL
from storage.database.place import DatabasePlace
from storage.journal.days import DayLines
from storage.journal.level import follow, open_follower
from storage.journal.line_mac import LineKey
from storage.journal.postgresql_lines import PostgresLines
from storage.journal.transparency import log_key
from tests.fakes.homeserver import SimulatedHomeserver
from tests.long.faults.running import LOOK_S, Place, Running, text_of
from tests.theatre.forked_command import ForkedProgram
from tests.theatre.state_tables import NotMade, StateTables


class OnPostgres(Running):
    """A bot on one machine, with its state on PostgreSQL."""

    def __init__(
        self,
        url: str,
        folder: Path,
        server: SimulatedHomeserver,
        session: tuple[str, str, str],
        config: str,
        place: Place | None = None,
        **more: Any,
    ) -> None:
        super().__init__(folder, server, session, config, place, **more)
        self.url = url
        self._tables = StateTables(DatabasePlace(self.place.data, SecretStr(url)))

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, DATABASE_URL: self.url}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._tables.rows(sql, keep=True)
        except NotMade:
            return []

    async def stop(self) -> int:
        ended = await super().stop()
        self._tables.close()  # or the database could not be copied
        return ended

    def leader(self) -> tuple[int, str, bool]:
        """Return epoch, instance and whether it has resigned, as the database has them."""
        query = "SELECT epoch, instance, resigned FROM answerable_shared.leaders"
        with closing(psycopg.connect(self.url, autocommit=True)) as db:
            try:
                row = db.execute(query).fetchone()
            except psycopg.errors.UndefinedTable:
                row = None
        return row or (0, "", True)


class Machine:
    """One of the two: its data directory and the process on it."""

    def __init__(self, pair: "TwoMachines", folder: Path, data: Path) -> None:
        self._pair = pair
        self.folder = folder
        self.data = data
        self.program: ForkedProgram | None = None

    def start(self, **order: Any) -> None:
        pair = self._pair
        self.folder.mkdir(parents=True, exist_ok=True)
        config = pair.config.format(url=pair.server.url, user=pair.session[0], data=self.data)
        (self.folder / "config.toml").write_text(config)
        order |= {"ahead": str(pair.ahead.path), "sets_time": pair.sets_time}
        self.program = ForkedProgram(
            "tests.long.faults.victim",
            json.dumps({"folder": str(self.folder), "options": ["--standby"], **order}),
            folder=self.folder,
            output=self.folder / "stderr",
            environ={**os.environ, **pair.environ},
        )

    def is_running(self) -> bool:
        return self.program is not None and self.program.poll() is None

    def leads(self) -> bool:
        """Tell whether the database names this machine as the leader."""
        file = self.data / "instance"
        _, instance, resigned = self._pair.leader()
        return not resigned and file.exists() and file.read_text().partition(" ")[0] == instance

    def ready(self) -> int:
        """Return how often a bot on it was ready."""
        return text_of(self.folder / "stderr").count('"event": "ready"')

    def events(self) -> list[dict[str, Any]]:
        """Return what its bots logged."""
        lines = text_of(self.folder / "stderr").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    async def ended(self) -> int:
        """Wait for the end of its process. Returns the exit status."""
        assert self.program is not None
        while (code := self.program.poll()) is None:  # noqa: ASYNC110 - another process runs
            await asyncio.sleep(LOOK_S)
        return code

    def records(self) -> dict[str, bytes]:
        """Return the text of all days, and the checkpoints."""
        folder = self.data / "records"
        days = {path.name: b"\n".join(DayLines(path).each()) for path in (folder / "day").iterdir()}
        notes = {path.name: path.read_bytes() for path in (folder / "checkpoints").iterdir()}
        return {**days, **notes, "checkpoint": (folder / "checkpoint").read_bytes()}


class TwoMachines(OnPostgres):
    """Two machines, as one bot that dies and goes on."""

    def __init__(self, url: str, folder: Path, *rest: Any, **more: Any) -> None:
        super().__init__(url, folder, *rest, **more)
        other = folder / "other"
        self.one = Machine(self, folder, self.place.data)
        self.other = Machine(self, other, other / "data")
        self.machines = (self.one, self.other)

    async def start(self, **order: Any) -> None:
        """Start both; or, after one has died, let the other take over, and start the dead one again."""
        if not self.other.data.exists():
            shutil.copytree(self.place.data, self.other.data)  # also the name of this one, which must not count there
            self.one.start(**order)
            await self._until(lambda: self.one.leads() or not self.one.is_running())
            self.other.start()
            return
        dead = sorted((each for each in self.machines if not each.is_running()), key=Machine.leads)
        for machine in dead:  # the one that led comes back last
            if machine.leads():
                await self._until(self._is_led)
            machine.start()

    def is_dead(self) -> bool:
        return not all(machine.is_running() for machine in self.machines)

    async def wait(self) -> int:
        dead = next(machine for machine in self.machines if not machine.is_running())
        code = await dead.ended()
        self.exits.append(code)
        return code

    def died_at(self) -> None:
        super().died_at()
        self.step = self.step or "start"

    def kill(self) -> None:
        """Kill the bot that leads."""
        for machine in self.machines:
            if machine.leads() and machine.program is not None:
                machine.program.kill()

    async def stop(self) -> int:
        """Stop the standby, then the leader, once it listens; both have all records afterwards."""
        await self.until(self._is_calm, "one to lead and the other to follow")
        leader, standby = (self.one, self.other) if self.one.leads() else (self.other, self.one)
        for machine in (standby, leader):
            assert machine.program is not None
            machine.program.terminate()
            self.exits.append(await machine.ended())
        key = LineKey.derived(log_key.load(standby.data).seed, "")
        with closing(PostgresLines(psycopg.connect(self.url, autocommit=True), "", None, key)) as table:
            follow(open_follower(standby.data, table))  # what the leader wrote after the standby had ended
        self._tables.close()
        return self.exits[-1]

    def logs(self) -> list[dict[str, bytes]]:
        """Return the records of both."""
        return [machine.records() for machine in self.machines]

    def _is_led(self) -> bool:
        return any(each.is_running() and each.leads() for each in self.machines)

    def _is_calm(self) -> bool:
        if self.is_dead():
            return False
        return any(each.leads() and each.ready() for each in self.machines)

    async def _until(self, look: Callable[[], bool], within_s: float = 120.0) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + within_s
        while not look():
            assert loop.time() < ends, [text_of(machine.folder / "stderr") for machine in self.machines]
            await asyncio.sleep(LOOK_S)
