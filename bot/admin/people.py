"""The end of a link between two accounts that was a mistake, at an operator's request.

Rules kept here:
- Both the link by which the account joined and the verifications that came with it end.
- Both accounts are told.
- What they proved goes back to the person who proved it.
- Reason and operator are recorded.

Left to others: what follows (`moderation/cases/obligations.py`, `storage/projections/linked_accounts.py`), asking
(`bot/cli/unlink.py`).
"""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.identity.person_claims import ClaimsOfPeople
from bot.pipeline.pipeline import Pipeline
from moderation.model.facts import AccountUnlinked, Fact, PersonVerified
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries
from storage.database.database import Database
from storage.identity.store import IdentityStore
from storage.projections.linked_accounts import links_of

from .request import ByName, Request


class PeopleOperations:
    """The operation that unlinks accounts."""

    def __init__(self, pipeline: Pipeline, database: Database, store: IdentityStore) -> None:
        self._pipeline = pipeline
        self._claims = ClaimsOfPeople(database, store)

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"unlink": self._do_unlink}

    async def _do_unlink(self, asked: Request) -> dict[str, Any]:
        user = asked.person
        done: dict[str, Any] = {}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            parted, revoked = await self._parted(db, user, asked.reason, asked.reader)
            yield (parted, *revoked)
            done.update(person=user, other=parted.target)

        await self._pipeline.commit_with(make)
        await self._claims.settle()
        return done

    async def _parted(
        self, db: AsyncConnection, user: UserId, reason: str, reader: str
    ) -> tuple[AccountUnlinked, list[PersonVerified]]:
        """Return the end of the newest link by which the account joined, and of the verifications that came with it."""
        own = [(record, link) for record, link in await links_of(db, [user]) if link.user == user]
        if not own:
            accounts = [each for each in await queries.accounts_of(db, user) if each != user]
            raise Refused("cli.unlink.first" if accounts else "cli.unlink.none", who=user, accounts=", ".join(accounts))
        record, link = own[-1]
        parted = AccountUnlinked(start=record, subject=user, target=link.to, reason=reason, reader=reader)
        came = await queries.verifications_with(db, user, record)
        revoked = [
            PersonVerified(
                step="revoked", method=each.method, level=each.level, until=each.until, undoes=number, subject=user
            )
            for number, each in came
        ]
        return parted, revoked
