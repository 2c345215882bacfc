"""Cases that belong together, so that they can be decided at once: those of a raid, or of one person.

Rules kept here:
- They are undecided cases of one room that its managers decide.
- Cases of one rule belong together if each was opened soon after another one of them.
- Cases about one person belong together whatever the rule.
- What waits for a manager's leave to be posted, and what is shown on the card of another case, is left out.

Pure. Left to others: deciding them (`bot/commands/decide_together.py`).
"""

from collections.abc import Iterable, Sequence

from moderation.model.builtin_rules import TIER_LINKS, decided_by
from moderation.model.context import CaseView
from moderation.policy import Policy

MOST = 20  # cases shown and decided at once


def belonging_with(case: CaseView, waiting: Sequence[CaseView], policy: Policy) -> tuple[CaseView, ...]:
    """Return the cases among `waiting` that belong with `case`, itself included, by their numbers; else nothing."""
    if not _can_be_joined(case):
        return ()
    others = [each for each in waiting if _can_be_joined(each) and each.n != case.n]
    raid = _chained(case, [each for each in others if each.rule == case.rule], policy.reports.together_within)
    same = [each for each in others if case.subject and (each.person == case.person or case.is_about(each.subject))]
    found = {each.n: each for each in (*raid, *same)}
    if not found:
        return ()
    nearest = sorted(found.values(), key=lambda each: abs(each.opened - case.opened))[: MOST - 1]
    return tuple(sorted((case, *nearest), key=lambda each: each.n))


def _can_be_joined(case: CaseView) -> bool:
    return not case.outcome and not case.lead and case.rule != TIER_LINKS and decided_by(case.rule) == "managers"


def _chained(case: CaseView, cases: Iterable[CaseView], within_ms: int) -> list[CaseView]:
    """Return the cases that are linked to `case` by gaps of at most `within_ms` between openings."""
    in_order = sorted((case, *cases), key=lambda each: each.opened)
    at = in_order.index(case)
    first = last = at
    while first > 0 and in_order[first].opened - in_order[first - 1].opened <= within_ms:
        first -= 1
    while last + 1 < len(in_order) and in_order[last + 1].opened - in_order[last].opened <= within_ms:
        last += 1
    return [each for each in in_order[first : last + 1] if each.n != case.n]
