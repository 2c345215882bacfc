"""Everybody with an entry in a ledger, and what is left to them."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.credit.credit import balance, effective, tier
from moderation.credit.ledger import settings_of
from moderation.model.facts import Ledger
from moderation.policy import Policy

from .ledgers import entries_by_person


@dataclass(frozen=True, slots=True)
class ListedBalance:
    """The balance of a person in a community (None: everywhere), and the number of entries that count there."""

    person: str
    community: str | None
    credit: int
    tier: str
    entries: int


async def listed_balances(db: AsyncConnection, ledger: Ledger, policy: Policy, now_ms: int) -> list[ListedBalance]:
    """Return the balances of everybody, the lowest first; in each community of which the people decided something."""
    settings = settings_of(ledger, policy)
    found = [
        (balance(counting, now_ms, settings), person, reach, len(effective(counting, now_ms, settings)))
        for person, entries in (await entries_by_person(db, ledger)).items()
        for reach in sorted({each.reach for each in entries})
        for counting in [[each for each in entries if each.reach in ("", reach)]]
    ]
    return [
        ListedBalance(person, reach or None, credit, tier(credit, policy.tiers), entries)
        for credit, person, reach, entries in sorted(found)
    ]
