"""A room's own rules, written by its managers in addition to the operator's. docs/model.md, "Rules".

Rules kept here:
- An operator's rule of the same name holds instead.
- A room's rule never weighs more than the operator allows now, whatever was allowed when it was written.
- Equal settings are read and compiled once.
- A rule is identified by its settings as they were recorded (JSON), so a replay judges by the rules then in force.

Pure. Left to others: writing them by chat (`bot/commands/rule.py`), checking them (`bot/config/checks.py`),
keeping them.
"""

from collections.abc import Iterable
from functools import lru_cache

from pydantic import TypeAdapter

from moderation.policy import GRADES, Grade, Policy, RuleSettings

from .judge import CompiledRule

MOST_STEPS = 2_000  # of all rules of a room together: programs of patterns, in instructions of RE2
MANY = 4_096  # compiled rules that are cached

_SETTINGS: TypeAdapter[RuleSettings] = TypeAdapter(RuleSettings)


def recorded(rule: RuleSettings) -> str:
    """Return a rule as it is recorded."""
    return rule.model_dump_json(by_alias=True)


def own_rules(texts: Iterable[str], policy: Policy) -> tuple[RuleSettings, ...]:
    """Return the rules of a room that hold under the operator's `policy`."""
    texts = tuple(texts)
    if not texts or not policy.groups.own_rules:
        return ()
    taken = {rule.name for rule in policy.rules}
    found = (settings_of(text, policy.groups.own_rules_class) for text in texts)
    return tuple(rule for rule in found if rule.name not in taken)


def compiled(texts: Iterable[str], policy: Policy) -> tuple[CompiledRule, ...]:
    """Return the compiled rules of a room that hold under the operator's `policy`."""
    rules = own_rules(texts, policy)
    heavy = too_heavy(rules)
    return tuple(_compiled(recorded(rule)) for rule in rules if rule.name not in heavy)


def too_heavy(rules: Iterable[RuleSettings]) -> frozenset[str]:
    """Return the names of rules that do not hold: earlier rules have used up the allowance."""
    left, heavy = MOST_STEPS, set()
    for rule in rules:
        if rule.steps() > left:
            heavy.add(rule.name)
        else:
            left -= rule.steps()
    return frozenset(heavy)


def with_own(policy: Policy, texts: tuple[str, ...]) -> Policy:
    """Return the policy as it holds in a room with these rules of its own."""
    own = own_rules(texts, policy)
    return policy.model_copy(update={"rules": (*policy.rules, *own)}) if own else policy


@lru_cache(MANY)
def settings_of(text: str, heaviest: Grade = "severe") -> RuleSettings:
    """Return the rule recorded as `text`, with at most this class."""
    rule = _SETTINGS.validate_json(text)
    if GRADES.index(rule.grade) <= GRADES.index(heaviest):
        return rule
    return rule.model_copy(update={"grade": heaviest})


@lru_cache(MANY)
def _compiled(text: str) -> CompiledRule:
    return CompiledRule.of(settings_of(text), own=True)
