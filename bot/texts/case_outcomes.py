"""The outcomes that a decision on a case would have, in words, from the rule and the ledgers.

Rules kept here:
- It is what the decision itself would do (`moderation/cases/decide.py`), so that a card never promises anything else.

Left to others: the rest of the card (`case_card.py`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moderation.cases.decide import would_follow
from moderation.cases.takedowns import is_ban_by_entry, removes_messages
from moderation.credit.credit import entries_in_force
from moderation.model.builtin_rules import ledger_of
from moderation.model.context import CaseView, Context, PersonView
from moderation.model.facts import CreditChanged, Fact, SanctionEnded, SanctionStarted
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import Policy
from moderation.values.ids import NO_USER, UserId
from moderation.values.notices import Bracketed, Line, Span, line

_NAMED = ("mute", "demote", "kick", "ban", "server")  # the measures that a card names, besides what it removes
_NOTHING = Bracketed(())


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of upholding and of dismissing, and the measures taken already."""

    upheld: Bracketed = _NOTHING
    dismissed: Bracketed = _NOTHING
    done: Bracketed = _NOTHING


def outcomes(case: CaseView, context: Context, policy: Policy, by: UserId = NO_USER) -> Outcomes:
    """Return what decisions by `by` would bring; `context.subject` is the person whom the case concerns."""
    upheld = would_follow(case, "upheld", by=by, context=context, policy=policy) if case.outcome != "upheld" else ()
    dismissed = would_follow(case, "dismissed", by=by, context=context, policy=policy)
    return Outcomes(
        Bracketed((*_begun(upheld, context.now_ms), *_taken_down(upheld, case, policy))),
        Bracketed(tuple(_ended(dismissed, context.subject))),
        Bracketed(tuple(_done(case, context.subject))),
    )


def _begun(facts: Sequence[Fact], now_ms: int) -> Iterator[Line]:
    started = [fact for fact in facts if isinstance(fact, SanctionStarted)]
    if removed := sum(fact.kind == "redact" for fact in started):
        yield line("card.brings.redact") if removed == 1 else line("card.brings.redact-several", count=removed)
    for fact in facts:
        if isinstance(fact, CreditChanged):
            yield _charged(fact.entry, fact.cost)
    for kind in _NAMED:
        if same := [fact for fact in started if fact.kind == kind]:
            yield _begins(max(same, key=lambda fact: fact.until or math.inf), now_ms)  # of two mutes the longer one


def _taken_down(facts: Sequence[Fact], case: CaseView, policy: Policy) -> Iterator[Line]:
    """Yield that messages are removed with the ban of somebody whom a list names."""
    if any(map(is_ban_by_entry, facts)) and removes_messages(case.takedowns, policy.lists):
        yield line("card.brings.sweep", span=Span(policy.sweep.within))


def _ended(facts: Sequence[Fact], subject: PersonView) -> Iterator[Line]:
    undone = {fact.undoes for fact in facts if isinstance(fact, CreditChanged)}
    if cost := sum(entry.cost for entry in (*subject.entries, *subject.standing) if entry.id in undone):
        yield line("card.brings.back", cost=cost)
    elif undone:
        yield line("card.brings.no-warning")
    for kind in dict.fromkeys(fact.kind for fact in facts if isinstance(fact, SanctionEnded)):
        if kind in _NAMED:
            yield line(f"card.ends.{kind}")


def _done(case: CaseView, subject: PersonView) -> Iterator[Line]:
    kinds = [kind for kind, _ in case.done]
    if removed := kinds.count("redact"):
        yield line("card.brings.removed") if removed == 1 else line("card.brings.removed-several", count=removed)
    if withheld := kinds.count("withhold"):
        yield line("card.brings.withheld") if withheld == 1 else line("card.brings.withheld-several", count=withheld)
    for entry in _charges(case, subject):
        yield _charged(entry.entry, entry.cost)
    for kind in dict.fromkeys(kinds):
        if kind in _NAMED:
            yield line(f"card.holds.{kind}")


def _begins(fact: SanctionStarted, now_ms: int) -> Line:
    if fact.until:
        return line(f"card.begins-for.{fact.kind}", span=Span(fact.until - now_ms))
    return line(f"card.begins.{fact.kind}")


def _charges(case: CaseView, subject: PersonView) -> list[LedgerEntry]:
    own = subject.entries if ledger_of(case.rule) == "credit" else subject.standing
    return [entry for entry in entries_in_force(own) if entry.case == case.n and entry.entry != "compensation"]


def _charged(entry: str, cost: int) -> Line:
    return line("card.brings.warning") if entry == "warning" else line("card.brings.charge", cost=cost)
