"""The decision of several undecided cases at once, in the same way and for the same reason.

Rules kept here:
- Each case is decided as if it were alone: a case that the person may not decide is left for somebody else.
- Several cases about one person cost what they would cost one after the other. Once one of them has brought a measure
  for low credit, the rest are left: the price and the end of the next depend on it.

Left to others: the effect of one decision (`moderation/cases/decide.py`), of several dismissals on a reporter
(`moderation/cases/reports.py`), which cases belong together (`moderation/cases/together.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.view_cache import ViewCache
from moderation.cases.decide import decide
from moderation.credit.ledger import LEDGERS, with_entry
from moderation.model.context import CaseView, Context
from moderation.model.facts import CaseDecided, CreditChanged, Fact, Outcome, SanctionStarted
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import PersonId, UserId
from storage import queries


async def others_dismissed(
    db: AsyncConnection, knowledge: ViewCache, lead: CaseView, facts: Sequence[Fact], policy: Policy, now_ms: int
) -> tuple[Fact, ...]:
    """Dismiss the other cases shown on the card of `lead`, in the same way; `facts` are those of that decision."""
    decided = next(fact for fact in facts if isinstance(fact, CaseDecided) and fact.n == lead.n)
    cases = await queries.waiting_with(db, lead.n)
    found, _ = await decided_together(
        db, knowledge, cases, "dismissed", decided.by, decided.reason, policy, now_ms, decided.on
    )
    return found


async def decided_together(
    db: AsyncConnection,
    knowledge: ViewCache,
    cases: Sequence[CaseView],
    what: Outcome,
    by: UserId,
    reason: str,
    policy: Policy,
    now_ms: int,
    on: int,
) -> tuple[tuple[Fact, ...], int]:
    """Return the facts of deciding undecided cases, and how many of them are left. `policy` is the operator's."""
    facts: list[Fact] = []
    kept = 0
    made: dict[PersonId, list[Fact]] = {}
    for case in cases:
        room = await knowledge.room(db, case.room)
        assert room is not None
        before = made.setdefault(case.person, [])
        if any(isinstance(fact, SanctionStarted) and fact.basis in LEDGERS for fact in before):
            kept += 1
            continue
        context = _charged(await knowledge.context(db, room, case.subject, now_ms), before)
        rules = await queries.policy_for(db, policy, room, case.rule)
        try:
            found = decide(case, what, by=by, reason=reason, context=context, policy=rules, on=on)
        except Refused:
            kept += 1
            continue
        before += found
        facts += found
    return tuple(facts), kept


def _charged(context: Context, facts: Sequence[Fact]) -> Context:
    """Return the context with what these facts write into the ledgers."""
    for fact in facts:
        if isinstance(fact, CreditChanged):
            context = replace(context, subject=with_entry(context.subject, fact, context.now_ms))
    return context
