"""The reactions on a card: those that the bot puts there, and those that it understands."""

from moderation.model.builtin_rules import has_card
from moderation.model.context import CaseView

# The reactions on a card. Each way to dismiss has the reason most often meant by it.
UPHOLD, DISMISS, SETTLED, HANDLED, MORE, CLAIM, LATER, TOGETHER = "✅", "❌", "🤝", "♻", "🔎", "✋", "⏳", "👥"
DISMISSALS = {DISMISS: "no-rule", SETTLED: "settled", HANDLED: "handled"}
OFFERED = (UPHOLD, DISMISS, MORE, CLAIM)  # those that the bot puts under it, in this order
UNDERSTOOD = (*OFFERED, LATER, TOGETHER, SETTLED, HANDLED)
NUMBERS = tuple(f"{number}\u20e3" for number in range(1, 10))  # those that choose a reason, under a question


def offered(case: CaseView, *, more: bool) -> tuple[str, ...]:
    """Return the reactions that the bot puts under the card of a case; with `more` those that an appeal adds.

    What a rule decided can only be taken back, until it is appealed. The time at which they are put there makes no
    difference.
    """
    by_rule = case.decide == "auto" and has_card(case.rule)
    if more:
        return (UPHOLD, CLAIM) if by_rule else ()
    return (DISMISS, MORE) if by_rule and not case.appealed else OFFERED
