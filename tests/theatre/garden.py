"""One room on a simulated homeserver, with the real bot, for faults and limits that a real one cannot have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.demo.synapse import SynapseAccount
from moderation.values.ids import UserId
from storage.journal.verify.verify import verify
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_rooms import Room, seed
from tests.theatre.rules import grave, no_elephants, tickets
from tests.theatre.served import HEAD, ServedBot

RULES = no_elephants("minor") + tickets() + grave()
RULES += """
[credit]
costs = { minor = 1, moderate = 5, serious = 25, severe = 61 }
incident_limit = 61
"""


class Garden:
    """A room on a simulated homeserver, with a bot that has entered it and has nothing left to send."""

    def __init__(self, server: SimulatedHomeserver, bot: ServedBot) -> None:
        self.server = server
        self.bot = bot
        self.people = {name: self._account(name) for name in ("owner", "manager", "second", "ann", "ben", "cat")}
        world, owner = server.world, self.people["owner"]
        self.room: Room = world.create(owner, {"name": "Garden", "room_version": "10"})
        seed(world, self.room, list(self.people.values())[1:])
        levels = dict(self.room.content("m.room.power_levels") or {})
        users = {owner: 100, bot.user: 100, self.people["manager"]: 50, self.people["second"]: 50}
        world.add(self.room, owner, "m.room.power_levels", {**levels, "users": users}, "")
        world.invite(self.room, owner, bot.user)
        self.spammers: list[str] = []

    def _account(self, name: str) -> str:
        user, _, _ = self.server.account(name)
        return user

    def say(self, name: str, body: str) -> str:
        content = {"msgtype": "m.text", "body": body}
        event = self.server.world.send(self.room, self.people[name], "m.room.message", content)
        self.server.tell()
        return event.id

    async def quiet(self) -> None:
        """Wait until the bot protects the room and is idle."""
        await self.bot.until_condition(self.room.id, "protected")
        await self.bot.idle()

    def limit(self) -> None:
        """Refuse all requests that are not allowed from now on."""
        self.server.limited, self.server.allowed = self.bot.user, 0

    async def allow(self, count: int = 1) -> list[tuple[str, Any]]:
        """Accept `count` more requests of the bot, once those in flight were refused. Returns the accepted ones."""
        before, refused = len(self.server.sent), self.server.refused
        await self.bot.until(lambda: self.server.refused >= refused + 2, "a request that knows of all that waits")
        self.server.allowed = count
        await self.bot.until(lambda: len(self.server.sent) >= before + count, f"{count} requests")
        return self.server.sent[before:]

    def flood(self, *names: str) -> None:
        """Let each of these write again, from now on, whenever a message of theirs is redacted."""
        self.spammers = list(names)

        def again(name: str) -> None:
            if name == "rooms/redact":
                for each in self.spammers:
                    if self.room.membership(self.people[each]) == "join" and self.level(each) >= 0:
                        self.say(each, "a purple elephant")

        self.server.taken = again

    def level(self, name: str) -> int:
        return self.room.level(self.people[name])


@asynccontextmanager
async def garden_in(folder: Path, more: str = "") -> AsyncIterator[Garden]:
    """Open a garden in which the bot is idle; `more`: sections of its configuration."""
    async with SimulatedHomeserver() as server:
        user, token, device = server.account("answerable")
        head = HEAD.format(url=server.url, user=user, bot='digest = ""').replace("*:localhost", "*:*")
        account = SynapseAccount(UserId(user), device, token)
        bot = ServedBot(account, server.url, folder / "bot", head + RULES + more)
        garden = Garden(server, bot)
        bot.start()
        await garden.quiet()
        yield garden
        server.allowed = None
        await bot.stop()
        assert verify(bot.data_dir / "records").problems == ()
