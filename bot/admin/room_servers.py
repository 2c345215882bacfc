"""Servers that a room lets in no longer, ordered and lifted by the operator at the command line.

Rules kept here:
- As in the chat: no pattern that matches the bot, an operator, or somebody who runs the room; and if people of the room
  are on the server, the order has to say how many.
- The user at the terminal is recorded as well, with the reason.

Left to others: which servers may be denied at all, and what is written (`moderation/rooms/server_acl.py`), asking
(`bot/cli/rooms/acl.py`).
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import RoomView
from moderation.model.facts import CaseOpened, ContentRead, Fact
from moderation.rooms import measures
from moderation.rooms.server_acl import must_spare, on_server, server_pattern
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import Code
from storage import queries

from .by_operator import ByOperator
from .request import ByName, Request


class ServerOperations(ByOperator):
    """Operations that deny servers and let them in again."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"room-acl-deny": self.deny, "room-acl-allow": self.allow}

    async def deny(self, asked: Request) -> dict[str, Any]:
        """Keep a server out of a room."""
        server, said = server_pattern(asked.string("server")), asked.number("people")

        async def facts(db: AsyncConnection, room: RoomView, by: UserId) -> tuple[Fact, ...]:
            there, power, now = await queries.measures_of_room(db, room.room), room.power, self._clock()
            spared = (*sorted(power.owners() | power.managers()), *map(UserId, self._policy.operators))
            must_spare(server, self._pipeline.settings.bot, spared, there)
            await _must_know(db, room, server, said)
            return measures.order(
                "server",
                by=by,
                room=room,
                in_force=there,
                owner=measures.answers_for(await queries.duty_of(db, room, self._policy.operators, now)),
                n=self._pipeline.knowledge.next_case,
                until=now + asked.number("for_ms") if asked.number("for_ms") else 0,
                reason=asked.reason,
                policy=self._policy,
                on=-1,
                as_operator=True,
                server=server,
            )

        return await self._done("deny", asked, server, facts)

    async def allow(self, asked: Request) -> dict[str, Any]:
        """Let a server in again."""
        server = asked.string("server").lower()

        async def facts(db: AsyncConnection, room: RoomView, by: UserId) -> tuple[Fact, ...]:
            there, policy = await queries.measures_of_room(db, room.room), self._policy
            given: Any = {"in_force": there, "policy": policy, "on": -1, "deed": "servers", "server": server}
            if not (ended := measures.lift(("server",), by=by, room=room, **given)):
                raise Refused("cli.rooms.acl.not-denied", server=Code(server), code=room.code)
            return ended

        return await self._done("allow", asked, server, facts)

    async def _done(self, what: str, asked: Request, server: str, give: Any) -> dict[str, Any]:
        by, done = self._operator(asked.string("by")), dict[str, Any]()

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            room = await self._group(db, asked.string("room"))
            facts = await give(db, room, by)
            filters = json.dumps({"room": room.code, "server": server, "for": asked.number("for_ms")})
            said: Any = {"by": by, "reader": asked.reader, "reason": asked.reason, "filters": filters}
            opened = [fact.n for fact in facts if isinstance(fact, CaseOpened)]
            until = [each for fact in facts if (each := getattr(fact, "until", None)) is not None]
            done.update(room=room.code, server=server, case=next(iter(opened), None), until=next(iter(until), None))
            yield (ContentRead(room=room.room, what=f"rooms acl {what}", **said),)
            yield facts

        await self._pipeline.commit_with(make)
        return done


async def _must_know(db: AsyncConnection, room: RoomView, server: str, said: int) -> None:
    """Raise `Refused` unless the order says how many people of the room it shuts out."""
    inside = [user for user, how in (await queries.memberships(db, room.room)).items() if how == "join"]
    count = sum(1 for _ in on_server(inside, server))
    if count != said:
        raise Refused("cli.rooms.acl.people", count=count, server=Code(server), code=room.code)
