"""The real bot in this process, on a data directory of its own, against the real homeserver of the session.

Rules this module keeps:
- The bot is started by `bot.app.serve`, as `answerable run` does it.
- A test examines what people see, the journal and the database, never the inside of the bot.
- Every journal is verified at the end of the test.
- Tests wait for a condition, with a deadline.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from bot.app import serve
from bot.config.config import Config, parse_config
from bot.demo.synapse import SynapseAccount
from bot.matrix.client import Session
from bot.monitoring.trusted_time import TrustedTime
from bot.runtime.clock import Clock, wall_clock
from bot.texts.catalog import Catalog
from moderation.model.actions.base import NICETY
from moderation.model.facts import Fact
from storage.journal.days import DayLines
from storage.journal.reader import Log
from storage.journal.record import Record
from tests.fakes.times import Together
from tests.theatre.forked_command import ForkedProgram
from tests.theatre.journal_read import JournalRead
from tests.theatre.rules import grave, loud, no_elephants, tickets
from tests.theatre.state_tables import Copy, NotMade, StateTables

T = TypeVar("T")
F = TypeVar("F", bound=Fact)

WITHIN_S = 120.0
_LOOK_S = 0.01
STEP_MS = 15_000
DEFECTS = ("judged_otherwise_before",)  # warnings that must not be

HEAD = """
[homeserver]
url = "{url}"
user = "{user}"
[bot]
data_dir = "data"
allow_invites = ["*:localhost"]
{bot}
"""

# Rules that most stories need: one that decides automatically, one that managers decide, one that costs much.
MUTE = loud()
RULES = no_elephants(more='text = { en = "No purple elephants" }') + tickets() + grave()


async def until(look: Callable[[], Awaitable[T | None]], what: str, within_s: float = WITHIN_S) -> T:
    """Wait until `look` finds something, and return it. Raises an `AssertionError` that names `what`."""
    try:
        async with asyncio.timeout(within_s):
            while not (found := await look()):  # noqa: ASYNC110 - rows and files tell nobody that they changed
                await asyncio.sleep(_LOOK_S)
            return found
    except TimeoutError:
        raise AssertionError(f"waited {within_s:g} s for {what}") from None


def like(key: str, language: str = "en", **fields: str) -> re.Pattern[str]:
    """Return a pattern for a filled-in text of the message files; `fields` fix the values of some fields."""
    template = Catalog.load().template(language, key).replace("`", "").replace("**", "")
    pieces = re.split(r"\{(\w+)[^}]*\}", template)
    pattern = "".join(
        (_filled(fields[piece]) if piece in fields else ".*") if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    )
    return re.compile(pattern, re.DOTALL)


def _filled(value: str) -> str:
    """Return a pattern for a value; a person may be shown with their display name before the id."""
    id_ = re.escape(value)
    return rf"(?:[^\n]{{1,40}} ?[(（])?{id_}[)）]?" if value.startswith("@") and ":" in value else id_


def phrase(key: str, language: str = "en") -> str:
    """Return a text of the message files that has no fields."""
    return Catalog.load().template(language, key)


class ServedBot:
    """One bot account with its data directory, which a test can start and stop."""

    def __init__(self, account: SynapseAccount, url: str, folder: Path, text: str, clock: Clock = wall_clock) -> None:
        self.user = account.user
        self.session = Session(url, *account)
        self.use(parse_config(folder / "config.toml", text, {}))
        self.ahead_ms = 0
        self._clock = clock
        self.is_believed = True  # whether the homeserver's clock and the machine's go with ours when it is set forward
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._apart: ForkedProgram | None = None

    def use(self, config: Config) -> None:
        """Take these settings, and look into their data directory."""
        self.config = config
        self.data_dir = config.data_dir
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.state = StateTables(config.place)
        self._journal = JournalRead(self.data_dir / "records")

    # Running.

    def start(self) -> None:
        """Start it; it is ready when it acts."""
        assert self._task is None, "it runs already"
        self._stop = asyncio.Event()
        trusted = Together(self.clock) if self.is_believed else TrustedTime(self.clock)
        self._task = asyncio.create_task(serve(self.config, self.session, self._stop, self.clock, trusted=trusted))

    def start_apart(self, rules: str = RULES, **secrets: str) -> ForkedProgram:
        """Start `answerable run` in a process of its own, which can be killed."""
        folder = self.data_dir.parent
        (folder / "config.toml").write_text(HEAD.format(url=self.session.url, user=self.user, bot="") + rules)
        secrets |= {"ANSWERABLE_ACCESS_TOKEN": self.session.token, "ANSWERABLE_DEVICE_ID": self.session.device}
        run = ("run", "--config", str(folder / "config.toml"))
        environ = {**os.environ, **secrets}
        self._apart = ForkedProgram("bot.cli.main", *run, folder=folder, output=folder / "bot.log", environ=environ)
        return self._apart

    def clock(self) -> int:
        """Return the bot's time: that of its homeserver, set forward by `ahead_ms`."""
        return self._clock() + self.ahead_ms

    async def stop(self) -> None:
        """Ask the bot to stop, and wait until it has. Raises the error it failed with."""
        task = self._let_go()
        if task is not None:
            self._stop.set()
            await task

    async def crash(self) -> None:
        """Stop the bot abruptly: nothing it planned is finished, no stop is recorded."""
        task = self._let_go()
        assert task is not None
        task.cancel()
        await asyncio.wait({task})

    def _let_go(self) -> asyncio.Task[None] | None:
        """Return the task of the bot, which is to end. From here on nobody else has its database open."""
        task, self._task = self._task, None
        self.state.close()
        return task

    async def restart(self) -> None:
        """Stop in good order and start again."""
        await self.stop()
        self.start()

    def must_live(self) -> None:
        """Raise the bot's error if it has ended on its own."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise AssertionError("the bot has ended")

    # What it has written.

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of the database, as last committed."""
        # While the bot runs the connection is kept: to open one costs more than most queries.
        runs = self._task is not None or (self._apart is not None and self._apart.poll() is None)
        return self.state.rows(sql, *values, keep=runs)

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """Return a whole table, sorted."""
        return sorted(self.rows(f"SELECT * FROM {name}"), key=repr)

    def records(self, first: int = 0) -> list[Record]:
        """Return the records of the journal from `first` on."""
        return self._journal.records(first)

    def size(self) -> int:
        """Return the index of the next record."""
        starts = Log(self.data_dir / "records").starts()
        return starts[-1][1] + sum(1 for _ in DayLines(starts[-1][0].path).each()) if starts else 0

    def facts(self, kind: type[F]) -> list[F]:
        """Return the facts of one class, in the order in which they were recorded."""
        return [fact for _, fact in self.numbered_facts() if isinstance(fact, kind)]

    def numbered_facts(self) -> list[tuple[int, Fact]]:
        """Return every fact with the index of its record."""
        return self._journal.facts()

    def followed(self, *events: str) -> dict[str, list[Fact]]:
        """Return the facts caused by each event, without the outcomes of the answers to it."""
        marks = ",".join("?" * len(events))
        index = {n: e for e, n in self.rows(f"SELECT event, record FROM events WHERE event IN ({marks})", *events)}
        assert len(index) == len(events), "not all events were recorded"
        found: dict[str, list[Fact]] = {event: [] for event in events}
        for _, fact in self.numbered_facts():
            if fact.on in index and fact.KIND not in ("outcome", "notice"):
                found[index[fact.on]].append(fact)
        return found

    def recorded(self, room: str | None = None) -> list[str]:
        """Return the ids of the events in the journal, in order; each as often as it is recorded."""
        code = self.code(room) if room else None
        return [
            str(record.parts[0]["ev"])
            for record in self.records()
            if record.parts and "ev" in record.parts[0] and (room is None or record.group == code)
        ]

    def record_of(self, event: str) -> Record:
        """Return the record of an event."""
        (found,) = [r for r in self.records() if r.parts and r.parts[0].get("ev") == event]
        return found

    def code(self, room: str) -> str:
        """Return the group code of a room."""
        ((code,),) = self.rows("SELECT code FROM rooms WHERE room = ?", room)
        return str(code)

    def condition(self, room: str) -> str | None:
        """Return whether the room is observed, protected ...; None while the bot does not know it."""
        found = self.rows("SELECT condition FROM rooms WHERE room = ?", room)
        return str(found[0][0]) if found else None

    def copy_of_database(self) -> Copy:
        """Return a copy of the present database."""
        return self.state.copy()

    def put_back(self, whole: Copy) -> None:
        """Restore the database from a copy."""
        self.state.put_back(whole)

    # Waiting.

    async def until(self, look: Callable[[], object], what: str, within_s: float = WITHIN_S) -> Any:
        """Wait as `until` does, with a synchronous `look`; fail at once if the bot has ended."""

        async def once() -> object:
            self.must_live()
            try:
                return look()
            except NotMade:
                return None

        return await until(once, what, within_s)

    async def until_condition(self, room: str, condition: str) -> None:
        """Wait until the room is observed, protected ..."""
        await self.until(lambda: self.condition(room) == condition, f"{room} to be {condition}")

    async def until_joined(self, room: str, user: str) -> None:
        """Wait until it is known here that somebody is in the room."""
        there = "SELECT 1 FROM members WHERE room = ? AND user = ? AND membership = 'join'"
        await self.until(lambda: self.rows(there, room, user), f"{user} in {room}")

    async def has(self, *events: str, within_s: float = WITHIN_S) -> None:
        """Wait until these events are in the journal and were judged."""
        marks = ",".join("?" * len(events))
        query = f"SELECT count(*) FROM events WHERE event IN ({marks})"
        taken = f"{len(events)} events to be taken"
        await self.until(lambda: self.rows(query, *events)[0][0] == len(events), taken, within_s)

    async def came_first(self) -> None:
        """Let everybody have come to the rooms some time after the bot."""
        # In a thread: the bot of this process may be writing, and has to go on for us to follow.
        late = 'UPDATE members SET seen = seen + 1000000 WHERE "user" != ?'
        await asyncio.to_thread(self.state.change, late, self.user)

    async def idle(self, within_s: float = WITHIN_S, *, up_to: int = NICETY) -> None:
        """Wait until the bot has no request left to send that is at least as urgent as `up_to`.

        This waits for the tables too: records that are not in them yet may cause more requests.
        """
        recorded = self.size()
        query = (
            "SELECT 1 FROM meta WHERE key = 'applied' AND CAST(value AS INTEGER) >= ?"
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE priority <= ?)"
        )
        try:
            await self.until(lambda: self.rows(query, recorded, up_to), "an empty outbox", within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; in it: {self.rows('SELECT * FROM outbox')}") from None

    async def pass_until(self, look: Callable[[], object], what: str, within_s: float = 4 * WITHIN_S) -> None:
        """Set the bot's clock forward until `look` finds something, in steps as long as one answer may take.

        Each step waits until everything is sent, so that the people responsible have been told. Needs `short_waits`.
        """
        async with asyncio.timeout(within_s):
            while await self.until(lambda: "found" if look() else "not yet", what) != "found":
                await self.idle(within_s)
                self.ahead_ms += STEP_MS
                moment = self.clock()
                heard = "SELECT 1 FROM meta WHERE key = 'alive' AND CAST(value AS INTEGER) >= ?"
                await self.until(lambda: look() or self.rows(heard, moment), what, within_s)  # noqa: B023 - called here
