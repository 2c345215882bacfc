"""The dismissal at once of several cases that rest on one member's reports.

Rules kept here:
- A case about the person who decides is left for somebody else.

Left to others: the effect of one dismissal (`moderation/cases/decide.py`), and of several on the reporter
(`moderation/cases/reports.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.view_cache import ViewCache
from moderation.cases.decide import decide
from moderation.model.context import CaseView
from moderation.model.facts import CaseDecided, Fact
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries


async def others_dismissed(
    db: AsyncConnection, knowledge: ViewCache, lead: CaseView, facts: Sequence[Fact], policy: Policy, now_ms: int
) -> tuple[Fact, ...]:
    """Dismiss the other cases shown on the card of `lead`, in the same way; `facts` are those of that decision."""
    decided = next(fact for fact in facts if isinstance(fact, CaseDecided) and fact.n == lead.n)
    cases = await queries.waiting_with(db, lead.n)
    found, _ = await dismissed(db, knowledge, cases, decided.by, decided.reason, policy, now_ms, decided.on)
    return found


async def dismissed(
    db: AsyncConnection,
    knowledge: ViewCache,
    cases: Sequence[CaseView],
    by: UserId,
    reason: str,
    policy: Policy,
    now_ms: int,
    on: int,
) -> tuple[tuple[Fact, ...], int]:
    """Return the facts of dismissing undecided cases, and how many of them `by` may not decide."""
    facts: list[Fact] = []
    kept = 0
    for case in cases:
        room = await knowledge.room(db, case.room)
        assert room is not None
        context = await knowledge.context(db, room, case.subject, now_ms)
        try:
            facts += decide(case, "dismissed", by=by, reason=reason, context=context, policy=policy, on=on)
        except Refused:
            kept += 1
    return tuple(facts), kept
