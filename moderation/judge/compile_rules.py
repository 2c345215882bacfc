"""Compilation of a rule's settings into a check that can look at events.

Rules kept here:
- Pure; equal settings give equal answers, so the caller may cache the result.
- A kind of rule is one entry in `KINDS`.

Left to others: which rules concern a room, and what a hit causes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moderation.policy import FloodRule, PatternRule, RuleSettings
from moderation.rules.check import Check
from moderation.rules.flood import Flood
from moderation.rules.links import Links
from moderation.rules.media import MediaCheck
from moderation.rules.mentions import Mentions
from moderation.rules.pattern import OWN_TEXT, Pattern
from moderation.rules.terms import Terms

# Any: each takes its own Settings; the discriminator `kind` ensures that the two belong together.
KINDS: Mapping[str, Callable[[Any, frozenset[str]], Check]] = {
    "terms": Terms,
    "pattern": Pattern,
    "links": Links,
    "flood": Flood,
    "mentions": Mentions,
    "media": MediaCheck,
}


def compile_rule(settings: RuleSettings, *, own: bool = False) -> Check:
    """Compile a rule; `own`: it is a room's own. Takes up to a second for 100,000 terms: cache the result."""
    if own and isinstance(settings, PatternRule):
        return Pattern(settings, frozenset(settings.where), OWN_TEXT)
    return KINDS[settings.kind](settings, frozenset(settings.where))


def longest_window_ms(rules: Iterable[RuleSettings]) -> int:
    """Return how far back `View.recent_ms` must reach for these rules; 0 if none of them counts messages."""
    return max((rule.within for rule in rules if isinstance(rule, FloodRule)), default=0)
