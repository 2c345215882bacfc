"""The people who reported what a decision is about: they are told the outcome, which counts for or against them.

Rule kept here: this is read inside the unit of work, and only if a case is decided or put off, or its deadline passes.
Left to others: what follows (`moderation/cases/reports.py`, `moderation/consequences/`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.reports import AroundReports, is_late, with_misuse
from moderation.model.facts import CaseDecided, CaseExtended, Fact
from moderation.policy import Policy
from moderation.values.ids import UserId
from storage import queries


async def with_misuse_of_reports(
    db: AsyncConnection, facts: Sequence[Fact], *, policy: Policy, next_case: int, now_ms: int
) -> list[Fact]:
    """Return the facts, and what decisions among them bring to reporters whose reports often come to nothing."""
    settings = policy.reports
    cases = {
        n: case
        for n in (*_decided(facts), *_late(facts))
        if (case := await queries.reported_case(db, n, now_ms=now_ms, settings=settings)) is not None
    }
    if not cases:
        return list(facts)
    return list(with_misuse(facts, AroundReports(now_ms=now_ms, settings=settings, next_case=next_case, cases=cases)))


async def reporters(db: AsyncConnection, facts: Sequence[Fact]) -> dict[int, tuple[UserId, ...]]:
    """Return the reporters of each case that these facts decide or put off, by the number of the case."""
    numbers = (*_decided(facts), *(fact.n for fact in facts if isinstance(fact, CaseExtended)))
    return {n: found for n in numbers if (found := await queries.reporters_of(db, n))}


def _late(facts: Sequence[Fact]) -> list[int]:
    return [fact.n for fact in facts if is_late(fact, facts)]


def _decided(facts: Sequence[Fact]) -> list[int]:
    return list(dict.fromkeys(fact.n for fact in facts if isinstance(fact, CaseDecided)))
