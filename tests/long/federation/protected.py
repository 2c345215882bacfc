"""A room that a bot protects and whose homeserver asks the policy server's process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.demo.authority import TlsAuthority
from bot.demo.federated_synapse import FederatedSynapse
from moderation.model.facts import DataAsked, MessageWithheld
from moderation.values.ids import RoomId
from tests.long.federation.policy_process import PolicyProcess, proxied
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Theatre
from tests.theatre.served import RULES, ServedBot, until
from tests.theatre.stage import Stage, text


@dataclass
class ProtectedRoom:
    """A room, its people, its bot and the policy server."""

    room: RoomId
    owner: Client
    member: Client
    bot: ServedBot
    process: PolicyProcess

    def start(self) -> None:
        """Start the policy server."""
        self.process.start(self.bot, RULES)

    async def say(self, words: str, who: Client | None = None) -> str:
        """Send a message; return its id."""
        return await (who or self.member).send(self.room, "m.room.message", text(words))

    async def refusal(self, words: str, who: Client | None = None) -> str:
        """Send what is to be refused; return what the sender's client shows."""
        try:
            sent = await self.say(words, who)
        except MatrixError as error:
            assert (error.status, error.errcode) == (400, "M_FORBIDDEN"), error
            return error.error
        raise AssertionError(f"{words!r} was delivered as {sent}: {await self.process.figures()}")

    async def withheld(self, times: int) -> list[MessageWithheld]:
        """Return the records of refusals, once there are so many."""

        async def recorded() -> list[MessageWithheld]:
            found = self.bot.facts(MessageWithheld)
            return found if len(found) >= times else []

        return await until(recorded, f"{times} records of refusals")


@asynccontextmanager
async def protected_room(
    homeserver: FederatedSynapse, authority: TlsAuthority, stage: Stage, folder: Path, *, version: str | None = None
) -> AsyncIterator[ProtectedRoom]:
    """Yield a public room whose owner wants the policy server to be asked, once it is."""
    theatre = Theatre(stage, folder)
    async with proxied(authority) as process:
        bot = await theatre.bot(RULES + process.settings, invites=f'["*:{homeserver.server_name}"]')
        owner, member = await theatre.people("owner", "member")
        room = await theatre.room(bot, owner, members=[member], version=version)
        await owner.set_state(room, "m.room.join_rules", {"join_rule": "public"})
        protected = ProtectedRoom(room, owner, member, bot, process)
        protected.start()
        await process.up()
        await wish(bot, owner, room)
        await owner.wait_state(room, "m.room.policy", lambda found: found.get("via") == process.name, what="asking")
        yield protected
        await owner.set_state(room, "m.room.policy", {})
    await theatre.close()


async def wish(bot: ServedBot, owner: Client, room: RoomId) -> None:
    """Let the owner of a room say that the policy server is asked."""
    await owner.send(room, "m.room.message", text("!policy on"))

    async def asked() -> int | None:
        return next((fact.on for fact in bot.facts(DataAsked) if fact.what == "policy" and fact.room == room), None)

    number = await until(asked, "the question whether they mean it")
    await owner.send(room, "m.room.message", text(f"!policy on {number}"))
