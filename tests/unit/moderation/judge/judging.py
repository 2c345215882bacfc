"""Messages judged by rules of this folder's tests."""

from typing import Any

from moderation.judge.judge import judge
from moderation.model.context import Context
from moderation.model.facts import (
    Fact,
)
from moderation.policy import Policy
from moderation.values.events import Received
from tests.unit.moderation.builders import (
    NOON,
    compiled,
    entry,
    person,
    policy,
    terms,
)

SPAM_RULES = (terms("spam", **{"class": "moderate"}),)
SPAM = policy(*SPAM_RULES)


def judged(event: Received, known: Context, rules: Policy = SPAM, on: int = 7) -> tuple[Fact, ...]:
    return judge(event, known, rules, compiled(rules), on)


def at_credit(left: int, **known: Any) -> Any:
    """Return Anna with `left` credit, after a charge just now for something else."""
    return person(entries=(entry(1, 100 - left, NOON, rule="other"),), **known)
