"""The reasons that everybody in a room reads next to a removed message, a kick or a ban.

Rules kept here:
- They stand in the room for ever, so they never have anybody's own words, and say what somebody did only if the
  operator wants that (`[bot] removal_reason`).
- Of a person who was removed or banned they name the case, under which the person is told why.

Left to others: the words for the person concerned (`bot/texts/person_lines.py`).
"""

from dataclasses import dataclass

from bot.config.deployment import RemovalReason
from bot.texts.matrix_message import Speech
from moderation.model.builtin_rules import OWN_RULES
from moderation.policy import Policy
from moderation.values.ids import UserId
from moderation.values.notices import Line, line


@dataclass(frozen=True, slots=True)
class GroundShown:
    """The ground of a kick or a ban: its case (0: none), its rule ("-": an order), and who decided it ("": a rule)."""

    n: int
    rule: str = "-"
    by: UserId | str = ""


class PublicReasons:
    """Puts reasons into words."""

    def __init__(self, speech: Speech, policy: Policy, shown: RemovalReason) -> None:
        self._speech = speech
        self._policy = policy
        self._shown = shown

    def of_message(self, rule: str, language: str) -> str | None:
        """Return the reason of removing a message; None for no reason. `rule` "-": it was ordered."""
        if rule == "-" or self._shown == "none":
            return None
        return rule if self._shown == "rule" else self._text(line("removal.reason"), language)

    def of_person(self, ground: GroundShown, language: str) -> str | None:
        """Return the reason of a kick or a ban; None for no reason."""
        if not ground.n or self._shown == "none":
            return None
        return self._text(self._line(ground), language)

    def _line(self, ground: GroundShown) -> Line:
        n, is_named = ground.n, ground.rule != "-" and ground.rule not in OWN_RULES
        if self._shown == "rule" and is_named:
            return line("removal.by-rule", rule=ground.rule, n=n)
        if not ground.by:
            return line("removal.by-moderation", n=n)
        return line("removal.by-operator" if ground.by in self._policy.operators else "removal.by-managers", n=n)

    def _text(self, said: Line, language: str) -> str:
        return self._speech.text((said,), self._speech.language(language), {}).plain
