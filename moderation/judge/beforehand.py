"""The judgement of an event before its delivery: whether it is refused, so that nobody ever sees it.

Rules kept here:
- It is the judgement after delivery (`judge.py`), asked earlier: what is refused is what would be removed, whatever its
  basis: a rule, an interim measure, a pace, being new or not verified.
- So managers, people whom a rule spares, observed rooms and rules on trial are treated alike by both.
- A name or topic, which cannot be removed afterwards, can be refused.
- Nobody's coming or going is refused, nor what takes a message back.
- A removal by another measure than those asked for here is left to the judgement after delivery, with all that follows
  from it. A rule that holds messages back (`interim = "hold"`) is always asked.

Left to others: recording a refusal and what follows (`withheld.py`), its words (`bot/texts/refusal.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from moderation.model.builtin_rules import OWN_RULES
from moderation.model.context import Context
from moderation.model.facts import Basis, Fact, Found, SanctionStarted
from moderation.policy import Grade, Measure, Policy
from moderation.rules.base import Interim, RuleBase
from moderation.rules.check import Hit
from moderation.values.events import MembershipChanged, Received, Redacted, Where

from .judge import CompiledRule, judge

ALWAYS: Measure = "redact"  # the measure of the bot's own rules that remove a message
HOLD: Interim = "hold"  # is always asked for


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why an event is refused before its delivery: `rule` and the other fields as in `Found`.

    `basis` is that of the measure. `every` and `messages` say until when somebody has to wait (`SanctionStarted`).
    """

    rule: str
    grade: Grade = "minor"
    basis: Basis = "rule"
    where: Where | Literal["-"] = "-"
    matched: str = ""
    count: int = 0
    limit: int = 0
    every: int = 0
    messages: int = 1

    @property
    def hit(self) -> Hit:
        """Return how the event broke the rule."""
        numbers = {"count": self.count, "limit": self.limit} if self.count or self.limit else {}
        return Hit(None if self.where == "-" else self.where, self.matched, numbers)


def refused_beforehand(
    event: Received, context: Context, policy: Policy, rules: Sequence[CompiledRule], measures: frozenset[Measure]
) -> Refusal | None:
    """Return why an event is refused before its delivery; None if it is not.

    `measures`: those of the rules that may refuse one. Times in `context` are of now; `recent_ms` counts this event.
    """
    if isinstance(event, MembershipChanged | Redacted):
        return None
    facts = judge(event, replace(context, beforehand=True), policy, rules, 0)
    gone = next((fact for fact in facts if isinstance(fact, SanctionStarted) and fact.kind == "withhold"), None)
    if gone is None or not _measures(gone, rules) & {*measures, HOLD}:
        return None
    return _refusal(gone, facts)


def _measures(gone: SanctionStarted, rules: Sequence[CompiledRule]) -> frozenset[Measure | Interim]:
    """Return the measures of the rule by which an event is removed: both, if a person is to decide."""
    rule: RuleBase | None = next((each.settings for each in rules if each.settings.name == gone.rule), None)
    if rule is None:
        return frozenset({ALWAYS})
    return frozenset({rule.measure} if rule.decide == "auto" else {rule.measure, rule.interim})


def _refusal(gone: SanctionStarted, facts: Sequence[Fact]) -> Refusal:
    found = next((fact for fact in facts if isinstance(fact, Found) and fact.rule == gone.rule), None)
    refusal = Refusal(gone.rule, basis=gone.basis, every=gone.every, messages=gone.messages)
    if found is None:
        own = OWN_RULES.get(gone.rule)
        return replace(refusal, grade=own.grade if own else refusal.grade)
    return replace(
        refusal,
        grade=found.grade,
        where=found.where,
        matched=found.matched,
        count=found.count,
        limit=found.limit,
    )
