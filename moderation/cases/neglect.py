"""Charges for neglecting a duty: a case about the person who neglected it, with a charge against their standing.

It is a case so that a manager can be told why, and appeal, like everybody else. docs/responsibility.md, "Standing".

Rules kept here:
- One neglected case costs one person at most `overdue_at_most`.
- Of all cases that pass within a day only `overdue_a_day` cost anything, so that nobody can use up somebody's standing
  with a heap of cases.
- The consequences follow from the ledger (`moderation/credit/tiers.py`).

Left to others: when a duty was neglected (`deadlines.py`, `decide.py`), who hears the appeal
(`moderation/duty/duty.py`).
"""

from collections.abc import Sequence

from moderation.credit.ledger import account, charge_standing
from moderation.credit.tiers import tier_facts
from moderation.model.builtin_rules import (
    BAD_FAITH,
    CLEAR_ERROR,
    FALSE_VOUCH,
    IDENTITY,
    NOBODY,
    OVERDUE,
    OWN_CASE,
)
from moderation.model.context import CaseView, Context
from moderation.model.facts import Fact
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.new_facts import decided_case
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.ids import NO_USER, UserId

FAULTS = {
    "error": CLEAR_ERROR,
    "bad-faith": BAD_FAITH,
    "own-case": OWN_CASE,
    "vouch": FALSE_VOUCH,
    "identity": IDENTITY,
}


def cost_of(rule: str, policy: Policy) -> int:
    """Return the first cost of breaking a duty."""
    own = policy.standing
    return {
        OVERDUE: min(own.overdue, own.overdue_at_most),
        NOBODY: own.nobody_on_duty,
        CLEAR_ERROR: own.clear_error,
        BAD_FAITH: own.bad_faith,
        OWN_CASE: own.own_case,
        FALSE_VOUCH: own.false_vouch,
        IDENTITY: own.identity_read,
    }.get(rule, 0)


def neglect_facts(
    context: Context,
    rule: str,
    *,
    n: int,
    about: int,
    policy: Policy,
    on: int,
    by: UserId = NO_USER,
    reason: str = "",
    waits: bool = True,
) -> tuple[Fact, ...]:
    """Return the facts: `context.subject` broke the duty `rule`; `n` numbers the case, `about` the other case.

    `waits`: whether that other case still waits, so that another day costs again.
    """
    opened = decided_case(
        rule,
        context.room.room,
        n,
        context.subject.user,
        on=on,
        due=context.now_ms + DAY_MS if rule == OVERDUE and waits else 0,
        about=about,
        manages=True,
        by=by,
        reason=reason,
    )
    return (opened, *charged_again(context, rule, cost_of(rule, policy), n=n, policy=policy, on=on, by=by))


def charged_again(
    context: Context, rule: str, cost: int, *, n: int, policy: Policy, on: int, by: str = ""
) -> tuple[Fact, ...]:
    """Return a charge against standing for case `n` and its consequences; nothing for a cost of 0."""
    if cost <= 0:
        return ()
    entry = charge_standing(context, policy, cost, rule=rule, n=n, on=on, by=by)
    return (entry, *tier_facts(context, policy, entry))


def is_spared(context: Context, policy: Policy) -> bool:
    """Return whether enough cases of this person that passed their deadline within a day have cost points here."""
    return _enough(_overdue(context, policy)[0], policy, context.now_ms)


def _enough(charges: Sequence[LedgerEntry], policy: Policy, now_ms: int) -> bool:
    limit = policy.standing.overdue_a_day
    return 0 < limit <= sum(now_ms - entry.at_ms < DAY_MS for entry in charges)


def _overdue(context: Context, policy: Policy) -> tuple[list[LedgerEntry], list[LedgerEntry]]:
    """Return what overdue cases cost a person here: the first charge for each, and those of further days."""
    entries = account(context.subject, "standing", context.room, policy).entries
    undone = {entry.undoes for entry in entries}
    first: dict[int | None, LedgerEntry] = {}
    daily = []
    for entry in sorted(entries, key=lambda entry: entry.id):
        counts = entry.rule == OVERDUE and entry.entry != "compensation" and entry.id not in undone
        if counts and first.setdefault(entry.case, entry) is not entry:
            daily.append(entry)
    return list(first.values()), daily


def another_day(case: CaseView, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Charge another day of an overdue case.

    `case` is the one about the neglect, `context.subject` the person who neglects.
    """
    own = policy.standing
    undone = {entry.undoes for entry in context.subject.standing}
    spent = sum(e.cost for e in context.subject.standing if e.case == case.n and e.id not in undone)
    left = min(own.overdue_daily, own.overdue_at_most - spent)
    cost = 0 if _enough(_overdue(context, policy)[1], policy, context.now_ms) else left
    more = left > 0 and spent + cost < own.overdue_at_most
    moved = case.moved("overdue", case.state, context.now_ms + DAY_MS if more else 0)
    return (moved, *charged_again(context, OVERDUE, cost, n=case.n, policy=policy, on=-1))
