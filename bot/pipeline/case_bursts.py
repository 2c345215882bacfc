"""The step that tells with which others a new case is shown on one card, before it is recorded.

Left to others: which these are (`moderation/cases/bursts.py`), the card (`bot/effects/burst_card.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.bursts import can_be_shared, with_bursts
from moderation.model.facts import CaseOpened, Fact
from moderation.policy import Policy
from storage import queries


def may_be_shared(facts: Sequence[Fact]) -> bool:
    """Return whether any of the facts opens a case that can be part of a burst."""
    return any(isinstance(fact, CaseOpened) and can_be_shared(fact) for fact in facts)


async def case_bursts(db: AsyncConnection, facts: Sequence[Fact], policy: Policy, now_ms: int) -> list[Fact]:
    """Return the facts with the burst of each case that they open."""
    rooms = {fact.home for fact in facts if isinstance(fact, CaseOpened) and can_be_shared(fact)}
    lately = {room: await queries.room_lately(db, room, policy, now_ms) for room in sorted(rooms)}
    return with_bursts(facts, lately, policy, now_ms)
