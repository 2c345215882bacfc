"""The words that somebody's client shows when their message is refused before its delivery.

They are plain text in the error of a request: the person has not been written to yet, and reads them next to the
message that did not go out.

Rules kept here:
- The rule in the words of the operator or of the room; never what was matched, and no blame.
- They say that a message follows only where one does: not of a pace, of which people are told once, and not of what is
  refused without a record.
"""

from collections.abc import Iterable

from moderation.judge.beforehand import Refusal
from moderation.rules.base import RuleBase

from .catalog import Catalog
from .matrix_message import Speech

_MOST = 500  # characters of a rule's text


def refused_words(
    catalog: Catalog, speech: Speech, refusal: Refusal, language: str, rules: Iterable[RuleBase], *, recorded: bool
) -> str:
    """Return the words for a refusal, in the room's language.

    `rules`: all that hold there, the room's own, too. `recorded`: whether the refusal is recorded.
    """
    chosen = speech.language(language)
    broken = next((each for each in rules if each.name == refusal.rule), None)
    own = broken.text if broken is not None else {}
    rule = speech.rule(refusal.rule, chosen, own.get(chosen, next(iter(own.values()), "")))
    if broken is None:  # not held by a rule, but by a pace
        return catalog.text(chosen, "beforehand.held", rule=rule[:_MOST])
    key = "beforehand.refused" if recorded else "beforehand.unrecorded"
    return catalog.text(chosen, key, rule=rule.rstrip(".。")[:_MOST])
