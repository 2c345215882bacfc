"""The setting of load measurements: a simulated homeserver and Answerable, each in its process, and rooms of people.

Rules kept here:
- The bot is started as an operator does it (`answerable run`), with a user's settings and rules of every kind.
- It enters rooms by invitation, as always.
- Memory and processor time of its process are those that the operating system reports.

Left to others: what is said there, and what the times are used for (`ingest.py`, `scale.py`, `soak.py`).
"""

import asyncio
import json
import os
import resource
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.demo.bot_process import MODULE, BotProcess
from storage.database.place import FILE
from tests.fakes.homeserver_orders import Simulated

SERVER = "simulated.example.org"
OWNER = f"@owner:{SERVER}"
BOT_LEVEL = 100
WAIT_S = 600.0
_LOOK_S = 0.02

CONFIG = """
[homeserver]
url = "{url}"
user = "{user}"
[bot]
data_dir = "."
allow_invites = ["*:*"]
operators = ["@operator:simulated.example.org", "@owner:simulated.example.org"]
"""

# Rules of every kind, as many groups have them.
RULES = """
[[rules]]
name = "terms"
kind = "terms"
class = "minor"
terms = TERMS
text = { en = "Not here" }
[[rules]]
name = "patterns"
kind = "pattern"
class = "moderate"
patterns = ['TICKET-[0-9]{4}', '(?:buy|sell)\\s+now']
[[rules]]
name = "links"
kind = "links"
class = "minor"
deny = ["elephants.example"]
[[rules]]
name = "flood"
kind = "flood"
class = "minor"
messages = 1000
within = "10s"
[[rules]]
name = "mentions"
kind = "mentions"
class = "minor"
limit = 20
[[rules]]
name = "media"
kind = "media"
class = "minor"
max_size = "100MB"
"""
BAD = "purple elephant 7 of many"


def rules(terms: int = 1_000) -> str:
    """Return what the operator adds to the configuration."""
    return RULES.replace("TERMS", json.dumps([f"purple elephant {number} of many" for number in range(terms)]))


def person(number: int) -> str:
    """Return the user id of a person."""
    return f"@person{number}:{SERVER}"


def owner(number: int) -> str:
    """Return the user id of somebody who owns a room of their own."""
    return f"@owner{number}:{SERVER}"


@dataclass
class Deployment:
    """One bot on one simulated homeserver."""

    server: Simulated
    bot: BotProcess
    user: str
    data_dir: Path
    rooms: list[str] = field(default_factory=list)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of the bot's database, as last committed."""
        connection = sqlite3.connect(f"file:{self.data_dir / FILE}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    async def until(self, look: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
        """Wait until `look` finds something, by polling. Raises `TimeoutError` with `what` in its text."""
        try:
            async with asyncio.timeout(within_s):
                while not self._found(look):  # noqa: ASYNC110 - rows tell nobody that they changed
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise TimeoutError(f"waited {within_s:g} s for {what}\n{self.bot.log()}") from None

    def _found(self, look: Callable[[], object]) -> object:
        if self.bot.pid is None:
            raise RuntimeError(f"the bot has ended\n{self.bot.log()}")
        try:
            return look()
        except sqlite3.OperationalError:  # the database is not made yet
            return None

    async def enter(self, people: Sequence[Sequence[str]], **body: Any) -> list[str]:
        """Make rooms with these people each, and wait until the bot, invited there, has entered and protects them."""
        made = []
        for number, members in enumerate(people, len(self.rooms)):
            levels = {self.user: BOT_LEVEL}
            room = await self.server.order(
                "room", creator=OWNER, members=members, levels=levels, name=f"Room {number}", **body
            )
            await self.server.order("invite", room=room, by=OWNER, user=self.user)
            made.append(room)
        self.rooms += made
        await self.until(self._all_protected, f"{len(self.rooms)} rooms to be protected")
        await self.idle()
        return made

    def _all_protected(self) -> bool:
        ((count,),) = self.rows("SELECT count(*) FROM rooms WHERE purpose = 'group' AND condition = 'protected'")
        return bool(count >= len(self.rooms))

    async def idle(self) -> None:
        """Wait until nothing is left to send, and nothing to read that the homeserver left out."""
        left = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM gaps LIMIT 1"
        await self.until(lambda: not self.rows(left), "an empty outbox and no gap")

    async def say(self, *events: tuple[str, str, str, dict[str, Any], str | None]) -> list[str]:
        """Have events sent, each as room, sender, type, content and state key. Returns their ids."""
        return list(await self.server.order("say", events=events))

    async def caught_up(self) -> float:
        """Wait until everything said so far is recorded, judged and committed. Returns when (monotonic) it was."""
        place = await self.server.order("place")
        acknowledged = float(await self.server.order("acknowledged", user=self.user, place=place))
        if not self.rows("SELECT 1 FROM gaps LIMIT 1"):
            return acknowledged
        await self.until(lambda: not self.rows("SELECT 1 FROM gaps LIMIT 1"), "no gap")
        return time.monotonic()

    async def missing(self, since: int, upto: int) -> int:
        """Return how many of the events between two places are not recorded exactly once."""
        said = await self.server.order("ids", since=since, upto=upto)
        found = Counter(event for (event,) in self.rows("SELECT event FROM events"))
        return sum(found[event] != 1 for event in said)

    @property
    def pid(self) -> int:
        """The process id of the bot."""
        assert self.bot.pid is not None
        return self.bot.pid


def memory_mb(pid: int) -> float:
    """Return the resident memory (MB) of a process now."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def processor_s(pid: int) -> float:
    """Return the processor time (s) of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ran_s(pid: int) -> float:
    """Return the processor time (s) so far of the threads that a process has now: finer than hundredths of a second."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it has ended
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


@asynccontextmanager
async def deployment(folder: Path, settings: str = "", module: str = MODULE) -> AsyncIterator[Deployment]:
    """Run a bot that is in no room yet; `settings`: the configuration after its head."""
    async with Simulated.start() as server:
        user, token, device = await server.order("account", localpart="answerable")
        bot = BotProcess(folder, "en", module)
        _write(bot, CONFIG.format(url=server.url, user=user) + (settings or rules()), token, device)
        made = Deployment(server, bot, user, folder)
        bot.start()
        try:
            await bot.until_ready()
            yield made
        finally:
            await bot.stop()


def _write(bot: BotProcess, settings: str, token: str, device: str) -> None:
    """Write the files that `answerable init` would write."""
    bot.folder.mkdir(parents=True, exist_ok=True)
    bot.config.write_text(settings, encoding="utf-8")
    env = bot.folder / ".env"
    env.touch(mode=0o600)
    env.write_text(f"ANSWERABLE_ACCESS_TOKEN={token}\nANSWERABLE_DEVICE_ID={device}\n", encoding="utf-8")
