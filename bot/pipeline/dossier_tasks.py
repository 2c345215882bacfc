"""The tasks that ask the operator for a file on a person, as soon as a decision makes one due.

Rules kept here:
- This is checked whenever a case is upheld, by a rule or by a person, and nowhere else.
- The task is written with the facts of that decision.

Left to others: when a file is due (`moderation/cases/dossiers.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.dossiers import Offence, as_it_will_be, due, opened_decided
from moderation.model.facts import CaseDecided, CaseOpened, Fact, TaskOpened
from moderation.policy import Policy
from moderation.values.ids import UserId
from storage import queries

_GRAVE = ("serious", "severe")


async def dossier_tasks(db: AsyncConnection, facts: Sequence[Fact], policy: Policy, now_ms: int) -> list[Fact]:
    """Return the tasks for the operator that follow from these facts, which are not applied yet."""
    if any(isinstance(fact, TaskOpened) and fact.task == "dossier" for fact in facts):
        return []  # read back from the journal
    upheld: dict[UserId, list[Offence]] = {}
    for fact in facts:
        if isinstance(fact, CaseOpened | CaseDecided) and (offence := await _upheld(db, fact, now_ms)) is not None:
            upheld.setdefault(fact.subject, []).append(offence)
    found: list[Fact] = []
    for subject, new in upheld.items():
        offences, before = await queries.offences_of(db, subject)
        all_of_them = as_it_will_be(offences, new, facts)
        task = due(subject, all_of_them, before, now_ms, policy.dossiers, on=_cause(facts, new[-1].n))
        found += [task] if task is not None else []
    return found


async def _upheld(db: AsyncConnection, fact: CaseOpened | CaseDecided, now_ms: int) -> Offence | None:
    match fact:
        case CaseOpened(state="decided") if fact.grade in _GRAVE:
            return opened_decided(fact, now_ms)
        case CaseDecided(what="upheld", state="decided"):
            case = await queries.case_view(db, fact.n)
            if case is None or case.grade not in _GRAVE:
                return None
            return Offence(case.n, case.room, case.rule, case.grade, case.opened, now_ms)
    return None


def _cause(facts: Sequence[Fact], n: int) -> int:
    return next((fact.on for fact in facts if getattr(fact, "n", 0) == n), -1)
