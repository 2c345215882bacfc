"""Keeps each claim with the person whose account proved it.

Rules kept here:
- A claim belongs to the person of the account that proved it, as the record of its verification says. It follows when
  accounts are linked or a link ends.
- Moves that are not done yet are done at the next start.
- While the store is locked nothing is moved; persons are still found through the links.
Left to others: linking (`account_linking.py`), sealing (`storage/identity/store.py`).
"""

import asyncio

import structlog

from moderation.values.ids import PersonId
from storage import queries
from storage.database.database import Database
from storage.identity.store import IdentityStore, Locked

log = structlog.get_logger()


class ClaimsOfPeople:
    """Moves claims between persons, and tells when they were made."""

    def __init__(self, database: Database, store: IdentityStore) -> None:
        self._database = database
        self._store = store
        self._unsettled = True  # at each start

    def must_settle(self) -> None:
        """Note that accounts were linked or a link ended."""
        self._unsettled = True

    async def settle_once(self) -> None:
        """Move claims if links may have changed since the last time."""
        if self._unsettled:
            self._unsettled = False
            await self.settle()

    async def settle(self) -> None:
        """Give every claim of people with linked accounts to the person whose account proved it."""
        involved = await self._database.fetch(queries.ever_linked)
        for person in involved:
            for held in await asyncio.to_thread(self._store.held_of, PersonId(person)):
                owner = await self._database.fetch(queries.person_who_proved, held.record, person)
                if owner != person:
                    await self._move(PersonId(person), owner, held.id)

    async def _move(self, person: PersonId, owner: PersonId, claim: str) -> None:
        try:
            await asyncio.to_thread(self._store.move, person, owner, only=claim)
        except Locked:
            self._unsettled = True
            log.warning("claims_not_moved", why="the identity store is locked")

    async def proved_since(self, person: PersonId, issuer: str, since_ms: int) -> bool:
        """Tell whether the person proved something at this issuer at or after that time."""
        claims = await asyncio.to_thread(self._store.claims_of, person)
        return any(each.method == "oidc" and each.issuer == issuer and each.created_ms >= since_ms for each in claims)
