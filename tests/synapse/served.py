"""The real bot in this process, on a data directory of its own, against the real homeserver of the session.

Rules this module keeps:
- The bot is started by `bot.app.serve`, as `answerable run` does it.
- A test examines what people see, the journal and the database, never the inside of the bot.
- Every journal is verified at the end of the test.
- Tests wait for a condition, with a deadline.
"""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from structlog.testing import capture_logs

from bot.app import records_only, serve
from bot.config.config import Config, parse_config
from bot.demo.synapse import SynapseAccount
from bot.matrix.client import Session
from bot.monitoring.trusted_time import TrustedTime
from bot.pipeline.replay import Rooms
from bot.runtime.clock import wall_clock
from bot.texts.catalog import Catalog
from moderation.model.actions import NICETY
from moderation.model.facts import Fact, PersonVerified
from moderation.values.ids import EventId, RoomId, UserId
from storage.database import FILE
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.journal.verify.verify import verify
from storage.record_mapping import fact_of_record
from tests.fakes.times import Together
from tests.people.client import Client, Seen
from tests.synapse.stage import Stage, unique

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
MUTE = """
[[rules]]
name = "loud"
kind = "terms"
class = "serious"
measure = "mute"
mute_for = "1h"
terms = ["geyser"]
"""
RULES = """
[[rules]]
name = "no-elephants"
kind = "terms"
class = "moderate"
terms = ["purple elephant"]
text = { en = "No purple elephants" }
[[rules]]
name = "tickets"
kind = "pattern"
class = "serious"
decide = "manager"
patterns = ["forbidden \\\\d+"]
[[rules]]
name = "grave"
kind = "terms"
class = "severe"
terms = ["volcano"]
"""


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
    template = Catalog.load().template(language, key).replace("`", "")
    pieces = re.split(r"\{(\w+)[^}]*\}", template)
    pattern = "".join(
        (re.escape(fields[piece]) if piece in fields else ".*") if number % 2 else re.escape(piece)
        for number, piece in enumerate(pieces)
    )
    return re.compile(pattern, re.DOTALL)


class ServedBot:
    """One bot account with its data directory, which a test can start and stop."""

    def __init__(self, account: SynapseAccount, url: str, folder: Path, text: str) -> None:
        self.user = account.user
        self.session = Session(url, *account)
        self.config: Config = parse_config(folder / "config.toml", text, {})
        self.data_dir = self.config.data_dir
        self.data_dir.mkdir(parents=True)
        self.ahead_ms = 0
        self.is_believed = True  # whether the homeserver's clock and the machine's go with ours when it is set forward
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # Running.

    def start(self) -> None:
        """Start it; it is ready when it acts."""
        assert self._task is None, "it runs already"
        self._stop = asyncio.Event()
        trusted = Together(self.clock) if self.is_believed else TrustedTime(self.clock)
        self._task = asyncio.create_task(serve(self.config, self.session, self._stop, self.clock, trusted=trusted))

    def clock(self) -> int:
        """Return the bot's time: this machine's, set forward by `ahead_ms`."""
        return wall_clock() + self.ahead_ms

    async def stop(self) -> None:
        """Ask the bot to stop, and wait until it has. Raises the error it failed with."""
        task, self._task = self._task, None
        if task is not None:
            self._stop.set()
            await task

    async def crash(self) -> None:
        """Stop the bot abruptly: nothing it planned is finished, no stop is recorded."""
        task, self._task = self._task, None
        assert task is not None
        task.cancel()
        await asyncio.wait({task})

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
        connection = sqlite3.connect(f"file:{self.data_dir / FILE}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """Return a whole table, sorted."""
        return sorted(self.rows(f"SELECT * FROM {name}"), key=repr)

    def records(self) -> list[Record]:
        """Return all records of the journal."""
        return list(Log(self.data_dir / "records").read())

    def facts(self, kind: type[F]) -> list[F]:
        """Return the facts of one class, in the order in which they were recorded."""
        return [fact for _, fact in self.numbered_facts() if isinstance(fact, kind)]

    def numbered_facts(self) -> list[tuple[int, Fact]]:
        """Return every fact with the index of its record."""
        rooms, found = Rooms({}), []
        for record in self.records():
            if (fact := fact_of_record(record, rooms.of)) is not None:
                rooms.learn(fact)
                found.append((int(record.index), fact))
        return found

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

    # Waiting.

    async def until(self, look: Callable[[], object], what: str, within_s: float = WITHIN_S) -> Any:
        """Wait as `until` does, with a synchronous `look`; fail at once if the bot has ended."""

        async def once() -> object:
            self.must_live()
            try:
                return look()
            except sqlite3.OperationalError:  # the database is not made yet
                return None

        return await until(once, what, within_s)

    async def until_condition(self, room: str, condition: str) -> None:
        """Wait until the room is observed, protected ..."""
        await self.until(lambda: self.condition(room) == condition, f"{room} to be {condition}")

    async def has(self, *events: str) -> None:
        """Wait until these events are in the journal and were judged."""
        marks = ",".join("?" * len(events))
        query = f"SELECT count(*) FROM events WHERE event IN ({marks})"
        await self.until(lambda: self.rows(query, *events)[0][0] == len(events), f"{len(events)} events to be taken")

    async def idle(self, within_s: float = WITHIN_S, *, up_to: int = NICETY) -> None:
        """Wait until the bot has no request left to send that is at least as urgent as `up_to`.

        This waits for the tables too: records that are not in them yet may cause more requests.
        """
        recorded = len(self.records())
        query = (
            "SELECT 1 FROM meta WHERE key = 'applied' AND CAST(value AS INTEGER) >= ?"
            " AND NOT EXISTS (SELECT 1 FROM outbox WHERE priority <= ?)"
        )
        await self.until(lambda: self.rows(query, recorded, up_to), "an empty outbox", within_s)

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


@dataclass
class Scene:
    """A room that a bot protects, with its people and its desk."""

    bot: ServedBot
    owner: Client
    managers: list[Client]
    members: list[Client]
    room: RoomId
    desk: RoomId = field(default=RoomId(""))

    async def wait_desk(self, who: Client, wanted: Callable[[Seen], bool], what: str, after: int = 0) -> Seen:
        """Wait for a message of the bot in the desk, as `who` sees it."""
        return await who.wait_event(
            self.desk, lambda seen: seen.sender == self.bot.user and wanted(seen), what=what, after=after
        )

    async def card(self, who: Client, n: int) -> Seen:
        """Return the card of a case, as it was first posted."""
        return await self.wait_desk(
            who,
            lambda seen: seen.body.startswith(f"Case {n} ") and "m.relates_to" not in seen.content,
            f"the card of case {n}",
        )

    async def levels(self) -> dict[str, int]:
        """Return the power levels of the people in the room."""
        users: dict[str, int] = (await self.owner.power_levels(self.room))["users"]
        return users

    async def until_level(self, user: str, level: int | None, within_s: float = WITHIN_S) -> None:
        """Wait until `user` has this level in the room; None: no entry."""
        await self.owner.wait_state(
            self.room,
            "m.room.power_levels",
            lambda content: content.get("users", {}).get(user) == level,
            what=f"{user} at {level}",
            within_s=within_s,
        )


class Theatre:
    """Makes bots and scenes for one test; at the end stops every bot and verifies every journal."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.url = stage.synapse.url  # where bots look for the homeserver
        self._folder = folder
        self._logs = capture_logs()
        self._logged = self._logs.__enter__()
        self.bots: list[ServedBot] = []
        self.expected: set[str] = set()  # errors that the test causes

    @property
    def logged(self) -> list[Any]:
        """Return what the bots have logged so far."""
        return list(self._logged)

    async def bot(self, rules: str = RULES, *, start: bool = True, bot: str = "", invites: str = "") -> ServedBot:
        """Create a bot with these rules and settings; `bot` has more lines for the table [bot]."""
        account = await self.stage.synapse.register(unique("bot"), "a password")
        head = HEAD.format(url=self.url, user=account.user, bot=bot)
        if invites:
            head = head.replace('["*:localhost"]', invites)
        served = ServedBot(account, self.url, self._folder / unique("served"), head + rules)
        self.bots.append(served)
        if start:
            served.start()
        return served

    async def people(self, *names: str) -> list[Client]:
        """Create users."""
        return list(await asyncio.gather(*(self.stage.person(name) for name in names)))

    async def room(
        self,
        bot: ServedBot,
        owner: Client,
        managers: Sequence[Client] = (),
        members: Sequence[Client] = (),
        *,
        bot_level: int = 100,
        levels: dict[str, int] | None = None,
        version: str | None = None,
        opened: bool = True,
    ) -> RoomId:
        """Create a room with these people, invite the bot and, if `opened`, wait until it has entered."""
        room = await self.stage.room(owner, *managers, *members, version=version)
        given: dict[str, int | None] = {manager.user: 50 for manager in managers}
        await owner.set_power(room, {**given, **(levels or {}), bot.user: bot_level})
        await owner.invite(room, bot.user)
        if opened:
            await bot.until_condition(room, "protected" if bot_level >= 100 else "observing")
        return room

    async def scene(
        self,
        rules: str = RULES,
        *,
        managers: int = 1,
        members: int = 1,
        bot: str = "",
        started: Callable[[ServedBot], Awaitable[None]] | None = None,
        known: Sequence[Literal["owner", "managers"]] = (),
        **more: Any,
    ) -> Scene:
        """Create a bot, a room it protects, and the desk with everybody in it.

        `started` is called before the bot is invited; `known` are the people on the roster, who may vouch for others.
        """
        names = ["owner", *["manager"] * managers, *["member"] * members]
        served, people = await asyncio.gather(self.bot(rules, bot=bot), self.people(*names))
        if started is not None:
            await started(served)
        owner, those, rest = people[0], people[1 : 1 + managers], people[1 + managers :]
        if known:
            named = {"owner": [owner], "managers": those}
            await on_the_roster(served, *(person for each in known for person in named[each]))
        room = await self.room(served, owner, those, rest, **more)
        scene = Scene(served, owner, those, rest, room)
        scene.desk = await self.enter_desk(served, room, owner, *those)
        return scene

    async def enter_desk(self, bot: ServedBot, room: RoomId, *people: Client) -> RoomId:
        """Let people into the desk of a room; its id."""
        query = "SELECT room FROM rooms WHERE purpose = 'desk' AND served = ?"
        code = bot.code(room)
        ((desk,),) = await bot.until(lambda: bot.rows(query, code), "a desk")
        await asyncio.gather(*(enter(person, desk) for person in people))
        there = "SELECT count(*) FROM members WHERE room = ? AND membership = 'join' AND user <> ?"
        await bot.until(lambda: bot.rows(there, desk, bot.user)[0][0] >= len(people), "everybody in the desk")
        return RoomId(desk)

    async def close(self) -> None:
        """Stop every bot; check that no defect was noted and that `answerable logs verify` finds no problem."""
        try:
            for bot in self.bots:
                await bot.stop()
        finally:
            self._logs.__exit__(None, None, None)
            for entry in self._logged:
                print(entry)  # shown when the test fails
        wrong = [e for e in self._logged if e["log_level"] == "error" or e["event"] in DEFECTS]
        assert [e for e in wrong if e["event"] not in self.expected] == []
        reports = [verify(bot.data_dir / "records") for bot in self.bots if (bot.data_dir / "records").exists()]
        assert [report.problems for report in reports] == [()] * len(reports)


async def enter(person: Client, room: str) -> None:
    """Accept an invitation."""
    await person.wait_invite(room)
    await person.join(room)


async def on_the_roster(bot: ServedBot, *people: Client) -> None:
    """Verify people by the roster, which counts everywhere; the bot is stopped for it and started again."""
    await bot.stop()
    until = bot.clock() + 365 * 86_400_000
    facts = [PersonVerified(method="roster", level=2, until=until, subject=UserId(each.user)) for each in people]
    async with records_only(bot.config, bot.clock) as operations:
        await operations._pipeline.commit(facts)
    bot.start()


async def direct_room(person: Client, bot: ServedBot) -> RoomId:
    """Let somebody enter the direct room that the bot made for them, and return it."""
    query = "SELECT room FROM rooms WHERE purpose = 'direct' AND direct_with = ? AND condition != 'left'"
    ((room,),) = await bot.until(lambda: bot.rows(query, person.user), f"a direct room with {person.user}")
    if (await _membership(person, room)) != "join":
        await enter(person, room)
    return RoomId(room)


async def told(person: Client, bot: ServedBot, pattern: re.Pattern[str], after: int = 0) -> Seen:
    """Wait for a message of the bot to somebody alone."""
    room = await direct_room(person, bot)
    return await person.wait_event(
        room,
        lambda seen: seen.sender == bot.user and pattern.search(seen.body) is not None,
        what=f"the word {pattern.pattern!r}",
        after=after,
    )


async def answer(person: Client, bot: ServedBot, room: str, command: EventId) -> Seen:
    """Wait for the bot's answer to a command."""
    return await person.wait_event(
        room,
        lambda seen: seen.sender == bot.user and _replies_to(seen) == command,
        what="an answer",
    )


async def ask(person: Client, bot: ServedBot, room: str, command: str, **extra: Any) -> str:
    """Say a command and read the answer."""
    said = await person.send_text(room, command, **extra)
    return (await answer(person, bot, room, said)).body


async def open_direct(person: Client, bot: ServedBot) -> RoomId:
    """Let a person open a direct room, wait until the bot has said hello there, and return the room."""
    room = await person.create_room(is_direct=True, invite=[bot.user])
    await person.wait_event(room, lambda seen: seen.sender == bot.user and seen.type == "m.room.message", what="hello")
    return room


def _replies_to(seen: Seen) -> str:
    relation = seen.content.get("m.relates_to") or {}
    return str((relation.get("m.in_reply_to") or {}).get("event_id", ""))


async def _membership(person: Client, room: str) -> str:
    there = await person.request("GET", "joined_rooms")
    return "join" if room in there["joined_rooms"] else ""
