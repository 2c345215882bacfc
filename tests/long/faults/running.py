"""A bot in a process of its own, as seen from outside: it runs, dies, is started again, and time passes for it.

Rules kept here:
- A bot that died is started again, without the fault.
- The time of the homeserver is in a file that the bot reads, and is set forward there only if a story asks for it.
"""

import asyncio
import inspect
import json
import mmap
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.runtime.clock import wall_clock
from storage.database.place import FILE
from tests.fakes.homeserver import SimulatedHomeserver
from tests.theatre.forked_command import ForkedProgram

WITHIN_S = 300.0
LOOK_S = 0.02


@dataclass
class Place:
    """The folder of the bot's data, what to do to it at the start, and how to repair it once the bot has died."""

    data: Path
    begins: Callable[[], Any] = lambda: None
    mends: Callable[[], Any] = lambda: None


class Ahead:
    """The milliseconds by which the bot's clock is ahead of this machine's, in a file that the bot reads."""

    def __init__(self, path: Path, ms: int = 0) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ms.to_bytes(8, "little", signed=True))

    @property
    def ms(self) -> int:
        """The present value."""
        return int.from_bytes(self.path.read_bytes(), "little", signed=True)

    @ms.setter
    def ms(self, ms: int) -> None:
        with self.path.open("r+b") as file, mmap.mmap(file.fileno(), 8) as seen:
            seen[:] = ms.to_bytes(8, "little", signed=True)


class Running:
    """A bot with its folder and its homeserver."""

    def __init__(
        self,
        folder: Path,
        server: SimulatedHomeserver,
        session: tuple[str, str, str],
        config: str,
        place: Place | None = None,
        *,
        sets_time: bool = False,
    ) -> None:
        """Prepare a bot. `config` has placeholders for `url`, `user` and `data`; its clock is that of `server`."""
        self.folder = folder
        self.config = config
        self.sets_time = sets_time
        self.ahead = Ahead(folder / "ahead", server.world.clock() - wall_clock())
        self.place = place or Place(folder / "data")
        self.server = server
        self.session = session
        self.passed_ms = 0  # by which its clock was set forward
        self.deaths = 0
        self.step = ""  # at which it died
        self.starts = 0
        self.exits: list[int] = []
        self._set_at = 0  # what its clock showed when it was set forward last
        self._program: ForkedProgram | None = None

    async def start(self, **order: Any) -> None:
        """Start the bot."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.config.format(url=self.server.url, user=self.session[0], data=self.place.data)
        (self.folder / "config.toml").write_text(config)
        order |= {"ahead": str(self.ahead.path), "sets_time": self.sets_time}
        self.starts = 1 + self._ready()
        self._program = ForkedProgram(
            "tests.long.faults.victim",
            json.dumps({"folder": str(self.folder), **order}),
            folder=self.folder,
            output=self.folder / "stderr",
            environ={**os.environ, **self.environ},
        )

    @property
    def environ(self) -> dict[str, str]:
        """More variables for the environment of its process."""
        return {"ANSWERABLE_ACCESS_TOKEN": self.session[1], "ANSWERABLE_DEVICE_ID": self.session[2]}

    def _ready(self) -> int:
        """Return how often the bot has logged that it is ready."""
        return text_of(self.folder / "stderr").count('"event": "ready"')

    def is_dead(self) -> bool:
        """Tell whether the bot has ended."""
        return self._program is not None and self._program.poll() is not None

    async def wait(self) -> int:
        """Wait for the bot's end. Returns its exit status."""
        assert self._program is not None
        while (code := self._program.poll()) is None:  # noqa: ASYNC110 - another process runs
            await asyncio.sleep(LOOK_S)
        self._program = None
        self.exits.append(code)
        return code

    def died_at(self) -> None:
        """Note where it died."""
        self.deaths += 1
        self.step = text_of(self.folder / "steps").rpartition("\n")[0].rpartition("\n")[2]

    def kill(self) -> None:
        """Kill the bot, whatever it is doing."""
        assert self._program is not None
        self._program.kill()

    async def stop(self) -> int:
        """Ask it to stop, once it listens; how it ended."""
        await self.until(
            lambda: self.starts == text_of(self.folder / "stderr").count('"event": "ready"'), "the bot to run"
        )
        assert self._program is not None
        self._program.terminate()
        return await self.wait()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of its database; empty while there is no database."""
        try:
            connection = sqlite3.connect(f"file:{self.place.data / FILE}?mode=ro", uri=True, timeout=60)
        except sqlite3.OperationalError:
            return []
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def pass_by(self, ms: int) -> None:
        """Set the bot's clock forward, if it has heard the homeserver since the last time this was done."""
        assert self.sets_time
        if self.rows(f"SELECT 1 FROM meta WHERE key = 'alive' AND CAST(value AS INTEGER) >= {self._set_at}"):
            self.passed_ms += ms
            self.ahead.ms += ms
            self._set_at = wall_clock() + self.ahead.ms

    def is_idle(self) -> bool:
        """Tell whether the bot has recorded everything there is to record, and sent everything there is to send."""
        if self.rows("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM gaps)") != [(0,)]:
            return False
        known = {event for (event,) in self.rows("SELECT event FROM events")}
        rooms = [self.server.world.rooms[room] for (room,) in self.rows("SELECT room FROM rooms")]
        return bool(rooms) and all(room.events[-1].id in known for room in rooms)

    async def until(self, look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
        """Wait until `look` finds something, and return it. A bot that died meanwhile is started again."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + within_s
        while not (found := await _what(look)):
            if self.is_dead():
                await self.wait()
                self.died_at()
                self.place.mends()
                await self.start()
            assert loop.time() < ends, f"waited {within_s:g} s for {what}: {text_of(self.folder / 'stderr')}"
            await asyncio.sleep(LOOK_S)
        return found


async def _what(look: Callable[[], Any]) -> Any:
    """Call `look`, and await the result if it is awaitable."""
    found = look()
    return await found if inspect.isawaitable(found) else found


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""
