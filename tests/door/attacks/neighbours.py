"""Two groups of different people: the garden, where Mark helps Olga, and the kitchen, where Rita and Sock attack him.

Mark is a plain member of the kitchen. `Neighbours` shows whom the attacks reach, and in which room.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moderation.credit.ledger import account
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.offline import ANNA, BOT, MARK, OLGA, ROOM, RULES, Offline, offline

KITCHEN, KITCHEN_DESK = RoomId("!kitchen:example.org"), RoomId("!kitchendesk:example.org")
RITA, SOCK, OPERA = (UserId(f"@{name}:example.org") for name in ("rita", "sock", "opera"))
KITCHEN_LEVELS = {"users": {str(RITA): 100, str(BOT): 100, str(SOCK): 50}}
OPERATED = f'operators = ["{OPERA}"]\n'  # continues the section [bot]
TOGETHER = '[communities]\n[[communities.named]]\nname = "estate"\nrooms = ["G-7F3K", "G-CU5K"]\n'


class Neighbours:
    """Shows whom the attacks reach."""

    def __init__(self, bot: Offline) -> None:
        self.bot = bot

    async def in_kitchen(self, user: UserId, *words: str) -> None:
        """Let somebody say something in the kitchen; a second passes."""
        for each in words:
            await self.bot.say(user, each, KITCHEN)
            self.bot.time.ms += 1_000

    async def break_rule(self, user: UserId, times: int, word: str = "a forbidden word") -> None:
        """Let somebody break a rule in the kitchen, each time in a case of its own."""
        for _ in range(times):
            await self.in_kitchen(user, word)
            self.bot.time.ms += 3_600_000

    async def decide(self, by: UserId, what: str, room: RoomId = KITCHEN) -> None:
        """Let somebody decide all waiting cases of a room, in that room, one an hour."""
        for (n,) in await self.bot.rows(f"SELECT n FROM cases WHERE outcome = '' AND room = '{room}'"):
            await self.bot.say(by, f"!{what} {n} because", room)
            self.bot.time.ms += 3_600_000

    async def credit(self, user: UserId, room: RoomId, ledger: str = "credit") -> int:
        """Return somebody's points as they count in a room."""
        async with self.bot.stores.database.read() as db:
            known = self.bot.pipeline.knowledge
            await known.begin(db)
            view = await known.room(db, room)
            assert view is not None
            person = await known.person(db, user, self.bot.time.ms)
            policy = self.bot.config.policy
            return account(person, ledger, view, policy).balance(self.bot.time.ms)  # type: ignore[arg-type]

    async def holding(self, user: UserId, room: RoomId) -> list[str]:
        """Return the kinds of sanctions in force against somebody in a room."""
        async with self.bot.stores.database.read() as db:
            known = self.bot.pipeline.knowledge
            await known.begin(db)
            view = await known.room(db, room)
            assert view is not None
            person = await known.person(db, user, self.bot.time.ms)
            return sorted({each.kind for each in person.in_force if each.covers(view)})

    async def may_manage(self, user: UserId, room: RoomId = ROOM) -> bool:
        """Tell whether the bot obeys somebody as a manager of a room."""
        async with self.bot.stores.database.read() as db:
            await self.bot.pipeline.knowledge.begin(db)
            view = await self.bot.pipeline.knowledge.room(db, room)
            assert view is not None
            return view.power.role(user) != "member" and user not in view.suspended

    async def tasks(self, kind: str) -> list[int]:
        """Return the cases of the open tasks of a kind."""
        rows = await self.bot.rows(f"SELECT n FROM tasks WHERE done = 0 AND task = '{kind}' ORDER BY n")
        return [n for (n,) in rows]


@asynccontextmanager
async def neighbours(folder: Path, more: str = RULES) -> AsyncIterator[Neighbours]:
    """Open the garden and the kitchen, each with its desk."""
    async with offline(folder, OPERATED + more) as bot:
        if KITCHEN not in bot.pipeline.served.codes:
            there = (RITA, SOCK, MARK, ANNA)
            await bot.enter_room(KITCHEN, GroupCode("G-CU5K"), "group", KITCHEN_LEVELS, "11", there, owner=RITA)
            desk = (RITA, SOCK)
            await bot.enter_room(
                KITCHEN_DESK, GroupCode("G-CD5K"), "desk", KITCHEN_LEVELS, "11", desk, owner=RITA, served="G-CU5K"
            )
        yield Neighbours(bot)


__all__ = ["ANNA", "BOT", "KITCHEN", "MARK", "OLGA", "OPERA", "RITA", "ROOM", "SOCK", "TOGETHER", "neighbours"]
