"""People, bots and rooms for one test, all with unique names, all closed at its end."""

import itertools
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from bot.demo.synapse import SynapseAccount
from bot.matrix.client import Homeserver, Session
from bot.runtime.clock import Clock, wall_clock
from moderation.values.ids import RoomId
from tests.people.client import Client

_numbers = itertools.count(1)
_run = secrets.token_hex(4)


PASSWORD = "a password"  # everybody's


def unique(name: str) -> str:
    """Return `name` with a suffix that no other test of this run or another run has."""
    return f"{name}-{_run}-{next(_numbers)}"


def text(body: str) -> dict[str, str]:
    """Return the content of a text message."""
    return {"msgtype": "m.text", "body": body}


async def own_room(bot: Homeserver, **more: Any) -> RoomId:
    """Create a private room by `bot`; `more` goes into the request."""
    return await bot.create_room({"preset": "private_chat", "name": unique("room"), **more})


class Accounts(Protocol):
    """A homeserver on which people and bots can be registered."""

    url: str

    async def register(self, localpart: str, password: str, *, admin: bool = False) -> SynapseAccount:
        """Create an account, logged in on one device."""


class Stage:
    """Creates and closes what a test needs on a homeserver."""

    def __init__(self, server: Accounts, clock: Clock = wall_clock) -> None:
        """Prepare a stage; `clock` is that of the homeserver."""
        self.server = server
        self.clock = clock
        self._open: list[Client | Homeserver] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thing in reversed(self._open):
            await thing.close()

    async def person(self, name: str, *, admin: bool = False) -> Client:
        """Create a user with a client of their own."""
        account = await self.server.register(unique(name), PASSWORD, admin=admin)
        client = Client(self.server.url, account.user, account.token)
        self._open.append(client)
        return client

    async def bot(self, name: str = "bot", *, admin: bool = False) -> Homeserver:
        """Create a user, seen through the product's port."""
        account = await self.server.register(unique(name), PASSWORD, admin=admin)
        return self.port(Session(self.server.url, *account))

    def port(self, session: Session, *, request_timeout_s: float = 30.0) -> Homeserver:
        """Open a port for a session that the test already has."""
        homeserver = Homeserver(session, request_timeout_s=request_timeout_s)
        self._open.append(homeserver)
        return homeserver

    async def room(
        self,
        owner: Client,
        *members: Client | Homeserver,
        power: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> RoomId:
        """Create a private room that `members` have joined; `power` overrides parts of its power levels."""
        invite = [member.user for member in members]
        room = await owner.create_room(unique("room"), power=power, version=version, invite=invite)
        for member in members:
            await member.join(room)
        return room
