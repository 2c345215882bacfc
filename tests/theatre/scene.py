"""Scenes: rooms that a bot protects, with their people and desks; and what people do and wait for in them.

Rules kept here:
- Every bot is stopped at the end of the test, and every journal is verified.
- Tests wait for a condition, with a deadline.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from structlog.testing import capture_logs

from bot.app import records_only
from moderation.model.facts import Fact, PersonVerified
from moderation.values.ids import EventId, RoomId, UserId
from storage.journal.verify.verify import verify
from tests.fakes.times import noon_after
from tests.people.client import Client, Seen
from tests.theatre.served import DEFECTS, HEAD, RULES, WITHIN_S, ServedBot, until
from tests.theatre.stage import Stage, unique


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
        self.url = stage.server.url  # where bots look for the homeserver
        self._folder = folder
        self._logs = capture_logs()
        self._logged = self._logs.__enter__()
        self.bots: list[ServedBot] = []
        self.ahead_ms = 0  # by which the clocks of bots are ahead that are made from now on
        self.expected: set[str] = set()  # errors that the test causes

    @property
    def logged(self) -> list[Any]:
        """Return what the bots have logged so far."""
        return list(self._logged)

    def begin_at_noon(self) -> None:
        """Let bots that are made from now on begin at noon: midnight, which closes a day, is twelve hours away."""
        now_ms = self.stage.clock()
        self.ahead_ms = noon_after(now_ms) - now_ms

    async def bot(self, rules: str = RULES, *, start: bool = True, bot: str = "", invites: str = "") -> ServedBot:
        """Create a bot with these rules and settings; `bot` has more lines for the table [bot]."""
        account = await self.stage.server.register(unique("bot"), "a password")
        head = HEAD.format(url=self.url, user=account.user, bot=bot)
        if invites:
            head = head.replace('["*:localhost"]', invites)
        served = ServedBot(account, self.url, self._folder / unique("served"), head + rules, self.stage.clock)
        served.ahead_ms = self.ahead_ms
        self.bots.append(served)
        if start:
            served.start()
        return served

    async def until_logged(self, event: str, *, times: int = 1) -> None:
        """Wait until bots have logged something so many times."""

        async def logged() -> bool:
            return len([entry for entry in self._logged if entry["event"] == event]) >= times

        await until(logged, f"{event} in the log")

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
        query = "SELECT room FROM rooms WHERE code = (SELECT desk FROM rooms WHERE room = ?)"
        ((desk,),) = await bot.until(lambda: bot.rows(query, room), "a desk")
        await asyncio.gather(*(enter(person, desk) for person in people))
        for person in people:  # and not as many: others may be there, if rooms share the desk
            await bot.until_joined(desk, person.user)
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
    """Verify people by the roster, which counts everywhere."""
    until = bot.clock() + 365 * 86_400_000
    await record(
        bot, *(PersonVerified(method="roster", level=2, until=until, subject=UserId(each.user)) for each in people)
    )


async def record(bot: ServedBot, *facts: Fact) -> None:
    """Record facts; the bot is stopped for it and started again."""
    await bot.stop()
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
