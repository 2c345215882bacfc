"""Sessions of the web console for people who log in at an issuer.

Rules kept here:
- Somebody gets a session for an account that is verified by this login now (`!verify oidc`), runs a room, and has a
  direct room with the bot: commands count as said there.
- It is a person's session: it gives no operator's rights.
- For operators, who also need a link from the terminal, it only says which of them logged in.

Left to others: the login (`bot/identity/sign_in.py`), what a session may do (`console.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.identity.sign_in import SignIns
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.runtime.tokens import hashed, new_token
from moderation.model.facts import ConsoleOpened, Fact
from moderation.values.errors import Refused
from moderation.values.ids import PersonId
from storage import queries
from storage.database.database import Database
from storage.identity.store import IdentityStore, Locked

from .console import LONGEST_MS
from .request import ByName, Request

_QUERY = ("state", "code", "iss", "error")


class ConsoleSignIn:
    """The operations for a login at an issuer."""

    def __init__(
        self, pipeline: Pipeline, database: Database, store: IdentityStore, sign_ins: SignIns, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._database = database
        self._store = store
        self._sign_ins = sign_ins
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "console-sign-in": self._do_begin,
            "console-signed-in": self._do_open,
            "console-operator-signed-in": self._do_operator,
        }

    async def _do_begin(self, asked: Request) -> dict[str, Any]:
        return {"link": await self._sign_ins.begin(asked.string("issuer"), asked.string("browser"))}

    async def _do_operator(self, asked: Request) -> dict[str, Any]:
        """Return the operators whose login this was."""
        person = await self._logged_in(asked)
        users = await self._database.fetch(queries.verified_by, person, "oidc", self._clock()) if person else ()
        operators = [user for user in users if user in self._pipeline.settings.policy.operators]
        if not operators:
            raise Refused("console.sign-in.no-operator")
        return {"operators": operators}

    async def _logged_in(self, asked: Request) -> PersonId | None:
        """Return the person for whom this login was proved before. Raises `Refused` if it is no login."""
        query = asked.arguments.get("query")
        given = {name: str(query[name]) for name in _QUERY if name in query} if isinstance(query, Mapping) else {}
        proof = await self._sign_ins.proved(asked.string("issuer"), asked.string("browser"), given)
        try:
            return await asyncio.to_thread(self._store.find, "oidc", proof.issuer, proof.identifier)
        except Locked:
            raise Refused("error.verify.locked") from None

    async def _do_open(self, asked: Request) -> dict[str, Any]:
        person = await self._logged_in(asked)
        session, opened = new_token(), list[ConsoleOpened]()

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            opened.append(await self._opened(db, person, hashed(session)))
            yield (opened[0],)

        await self._pipeline.commit_with(make)
        return {"session": session, "user": opened[0].subject, "until": opened[0].until}

    async def _opened(self, db: AsyncConnection, person: PersonId | None, session: str) -> ConsoleOpened:
        now_ms, bot = self._clock(), self._pipeline.settings.bot
        for user in await queries.verified_by(db, person, "oidc", now_ms) if person else ():
            room = await queries.direct_room(db, user)
            if room and await queries.are_alone(db, room, user, bot) and await queries.answers_for(db, user):
                return ConsoleOpened(room=room, until=now_ms + LONGEST_MS, subject=user, session=session)
        raise Refused("console.sign-in.nobody")
