"""The first hour of a new operator: the README's five steps, with mistakes that people make, to the first decisions.

    python -m tests.long.synapse.first_hour.script  plays it and writes what was printed and said into transcript.txt

Rules kept here:
- The homeserver has Synapse's default limits for sending. The operator has a fresh home and a terminal of 80 columns.
- Everything that a command prints or the bot says is in the transcript, in order, and so is what people type.
- What differs from one run to the next is replaced by a word in angle brackets (`steady.py`).

Left to others: comparing it with the transcript that was read and agreed to (`test_first_hour.py`).
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bot.demo.synapse import Synapse, SynapseAccount
from tests.long.synapse.first_hour.rooms import Rooms
from tests.long.synapse.first_hour.steady import steady
from tests.people.client import Client
from tests.theatre.served import until
from tests.theatre.terminal import RunningCommand, Talk, at_a_terminal

TRANSCRIPT = Path(__file__).with_name("transcript.txt")
REPOSITORY = Path(__file__).parents[4]
PASSWORD = "correct horse battery staple"


class FirstHour:
    """The operator's machine, the people, and what was printed and said so far."""

    def __init__(self, folder: Path, server: Synapse) -> None:
        self._server = server
        self._home = folder / "home"
        self._home.mkdir()
        self._written: list[str] = []
        self._run: RunningCommand | None = None
        self.people: dict[str, Client] = {}
        self.rooms = Rooms()

    @property
    def transcript(self) -> str:
        """Everything so far, without what differs from one run to the next."""
        return steady("\n".join(self._written), self._home, self._server.url)

    def chapter(self, title: str) -> None:
        self._written += ["", f"## {title}", ""]

    def note(self, words: str) -> None:
        self._written.append(f"({words})")

    # The terminal.

    async def command(self, *words: str, talk: Talk = (), stdin: str = "", folder: str = ".") -> None:
        """Run a command as the operator does, with answers to its questions, or with a file as its input."""
        told = f" < {'token.txt' if stdin else ''}" if stdin else ""
        (self._home / folder).mkdir(exist_ok=True)
        argv = self._argv(words)
        if stdin:
            (self._home / "token.txt").write_text(f"{stdin}\n")
            argv = ["sh", "-c", 'exec "$@" < token.txt', "sh", *argv]
        code, screen = await asyncio.to_thread(at_a_terminal, argv, self._home / folder, self._environ(), talk)
        self._written += [f"$ answerable {' '.join(words)}{told}", screen.rstrip("\n"), f"[exit code {code}]", ""]

    def start(self) -> None:
        """Start the bot at a terminal of its own, where it goes on running."""
        self._run = RunningCommand(self._argv(("run",)), self._home, self._environ())

    async def stop(self) -> None:
        """Stop the bot as Ctrl-C does, and write down what it printed: each line once, in the order of the alphabet.

        What was tried again depends on how fast the machine is, so it is left out.
        """
        assert self._run is not None
        code, screen = await asyncio.to_thread(self._run.stop, signal.SIGINT)
        printed = set(steady(screen, self._home, self._server.url).splitlines()) - {""}
        lines = sorted(line for line in printed if "act_later" not in line)
        self._written += ["$ answerable run", *lines, f"[exit code {code}]", ""]

    def kill(self) -> None:
        """End the bot, if it still runs."""
        if self._run is not None:
            self._run.stop(signal.SIGKILL)

    def _argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "bot.cli.main", *words]

    def _environ(self) -> dict[str, str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(self._home), "PYTHONPATH": str(REPOSITORY)}
        return own | {"LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "40", "TERM": "dumb", "NO_COLOR": "1"}

    # People.

    async def account(self, name: str, *, admin: bool = False) -> SynapseAccount:
        return await self._server.register(name, PASSWORD, admin=admin)

    async def person(self, name: str) -> Client:
        account = await self.account(name)
        self.people[name] = Client(self._server.url, account.user, account.token)
        return self.people[name]

    async def close(self) -> None:
        for person in self.people.values():
            await person.close()

    async def quiet(self, *, after: str = "", there: str = "") -> None:
        """Wait until the bot has read an event, a query finds something, and nothing is left to be sent."""
        read = f"SELECT 1 FROM events WHERE event = '{after}'" if after else "SELECT 1"

        async def calm() -> bool | None:
            return (
                all(self._rows(query) for query in (read, there or "SELECT 1")) and not self._rows(_WAITING)
            ) or None

        for _ in range(2):  # what was read last may still be judged
            await until(calm, f"calm after {there or after}")
            await asyncio.sleep(0.5)
        await until(calm, "calm")

    async def said(self, title: str) -> None:
        """Write down what was said since the last time."""
        self._written += [f"--- {title}", *(await self.rooms.news()), ""]

    def _rows(self, query: str) -> list[Any]:
        file = self._home / "data" / "state.sqlite3"
        if not file.exists():
            return []
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:  # its tables are being made
                return []

    async def found(self, query: str) -> Any:
        """Wait until a query finds a row, and return its first value."""

        async def look() -> Any:
            rows = self._rows(query)
            return rows[0][0] if rows else None

        return await until(look, query)


_WAITING = "SELECT 1 FROM outbox WHERE json_extract(action, '$.do') NOT IN ('witness', 'timestamp') LIMIT 1"


async def play() -> str:
    """Play the first hour. Returns the transcript."""
    folder = Path(mkdtemp(prefix="first-hour-", dir="/tmp"))  # tables are as wide as its name is long
    try:
        async with await Synapse.start(folder / "homeserver", limits="default", within_s=500) as server:
            return await _play(FirstHour(folder, server), server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _play(hour: FirstHour, server: Synapse) -> str:
    try:
        for chapter in (_set_up, _checks, _first_room, _power, _first_words, _first_cases, _end):
            await chapter(hour, server)
        return hour.transcript
    finally:
        hour.kill()
        await hour.close()


async def _set_up(hour: FirstHour, server: Synapse) -> None:
    hour.chapter("1. An account for the bot")
    await hour.account("guard")
    hour.note("@guard:localhost was made on a homeserver with default limits")
    hour.chapter("3. Setting up")
    await hour.command("innit")
    await hour.command("check")
    await hour.command(
        "init",
        talk=[
            ("Matrix account", "guard"),
            ("not a Matrix id", "@guard:localhost"),
            ("Its homeserver", "matrix.invalid"),
            ("no server named", ""),
            ("accepts a connection", server.url),
            ("Language", "english"),
            ("answer en or zh", "en"),
            ("Your own Matrix id", "anna"),
            ("at least one Matrix id", "@anna:localhost"),
            ("Who may invite", "#garden:localhost"),
            ("ids or patterns", ""),
            ("Numbers of the rules", "all"),
            ("choose from this list", "1 2 5"),
            ("Words or phrases", "purple elephant"),
            ("File for the key", "data/identity.key"),
            ("inside the data directory", ""),
            ("Name that people see", "Garden Guard"),
            ("Password", "wrong"),
            ("does not accept this password", ""),
            ("Password", PASSWORD),
            ("Access token of an admin", ""),
        ],
    )
    await hour.command("init")


async def _checks(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("4. Checking, and lifting the limit that the check names")
    admin = await hour.account("root", admin=True)
    await hour.command("check")
    await hour.command("rate-limit", "--admin-token-stdin", stdin="a wrong token")
    await hour.command("rate-limit", "--admin-token-stdin", stdin=admin.token)
    await hour.command("run", folder="elsewhere")
    hour.start()
    await hour.found("SELECT 1")


async def _first_room(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("5. Inviting the bot, and forgetting to give it power")
    anna, ben, carl, dora = [await hour.person(name) for name in ("anna", "ben", "carl", "dora")]
    people = (ben, carl, dora)
    room = await anna.create_room("Garden", invite=[each.user for each in people])
    for each in people:
        await each.join(room)
    await anna.set_power(room, {ben.user: 50})
    hour.rooms.read(room, "Garden", anna)
    await anna.invite(room, "@guard:localhost")
    desk = await hour.found("SELECT room FROM rooms WHERE purpose = 'desk'")
    for each in (anna, ben):
        await each.wait_invite(desk)
        await each.join(desk)
    hour.rooms.read(desk, "desk", anna)
    await hour.quiet(
        there=f"SELECT 1 FROM members WHERE room = '{desk}' AND user = '{ben.user}' AND membership = 'join'"
    )
    await hour.said("anna invites the bot; anna and ben join the desk")


async def _power(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("5. Giving it power")
    anna, garden = hour.rooms.reader("Garden"), hour.rooms.room("Garden")
    status = await hour.rooms.say("desk", anna, "!status")
    await hour.quiet(after=status)
    await anna.set_power(garden, {"@guard:localhost": 100})
    await hour.quiet(there="SELECT 1 FROM rooms WHERE purpose = 'group' AND condition = 'protected'")
    await hour.said("anna asks, and gives the bot level 100")


async def _first_words(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("First words to the bot")
    for words in ("!hlep", "!help", "!mute bob"):
        await hour.quiet(after=await hour.rooms.say("desk", hour.people["anna"], words))
    await hour.said("anna tries commands in the desk")


async def _first_cases(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("The first cases")
    ben, carl, dora = (hour.people[name] for name in ("ben", "carl", "dora"))
    bad = await hour.rooms.say("Garden", carl, "who wants a purple elephant?")
    await hour.quiet(after=bad, there="SELECT 1 FROM cases WHERE n = 1")
    await _enter_direct(hour, carl)
    await hour.said("carl breaks a rule, and joins the room to which the bot invites him")
    rude = await hour.rooms.say("Garden", carl, "only fools like gardens")
    await hour.quiet(after=rude)
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": rude}}}
    report = await hour.rooms.say("Garden", dora, "!report rude", **relation)
    await hour.quiet(after=report, there="SELECT 1 FROM cases WHERE n = 2 AND card IS NOT NULL AND card <> ''")
    await _enter_direct(hour, dora)
    await hour.said("dora reports a message")
    card = await hour.found("SELECT card FROM cases WHERE n = 2")
    pressed = await ben.react(hour.rooms.room("desk"), card, "✅")
    await hour.quiet(after=pressed, there="SELECT 1 FROM cases WHERE n = 2 AND decided > 0")
    await hour.said("ben presses ✅ under the card of case 2")
    await hour.command("cases")
    await hour.command("status")


async def _enter_direct(hour: FirstHour, person: Client) -> None:
    query = f"SELECT room FROM rooms WHERE purpose = 'direct' AND direct_with = '{person.user}'"
    direct = await hour.found(query)
    await person.wait_invite(direct)
    await person.join(direct)
    hour.rooms.read(direct, f"direct room of {person.user}", person)
    await hour.quiet()


async def _end(hour: FirstHour, _server: Synapse) -> None:
    hour.chapter("What the bot printed meanwhile")
    await hour.stop()


if __name__ == "__main__":
    TRANSCRIPT.write_text(asyncio.run(play()))
    print(f"written: {TRANSCRIPT}")
