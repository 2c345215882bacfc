"""Bursts: many cases by rules in one room soon after one another, which the desk sees on one card.

Rules kept here:
- A burst begins once a room got more cases by rules than may have cards of their own (`[groups] cards`), each soon
  after another (`[reports] together_within`); while a wave of people counts, with the second of them.
- While it lasts, whatever rules decide in the room is shown on its card.
- What people have to decide rings somebody: the first undecided case of each rule has a card of its own. The further
  ones are numbers on the card of the burst, and are decided together with the first (`together.py`).
- A burst lasts no longer than an hour; then the next case begins another one, since an edited card rings nobody.
- Never shown on a common card: reports, what waits for a manager's leave to be posted, and cases about people who run
  the room.

Pure. Left to others: what is known of a room (`bot/pipeline/case_bursts.py`), the card (`bot/effects/burst_card.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from moderation.model.builtin_rules import IN_WAVE, LISTED, LISTED_SERVER, OWN_RULES, has_card
from moderation.model.facts import CaseOpened, Fact
from moderation.policy import Policy
from moderation.values.durations import HOUR_MS
from moderation.values.ids import RoomId

LASTS_MS = HOUR_MS
BY_LISTS_AND_WAVES = (LISTED, LISTED_SERVER, IN_WAVE)  # the bot's own rules whose cases can be part of a burst


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst: its first case, when that was opened, and when the last one was."""

    n: int
    began: int
    last: int


@dataclass(frozen=True, slots=True)
class RoomLately:
    """The cases that a room got lately, as far as they decide which card is next."""

    burst: Burst | None = None  # the newest
    alone: int = 0  # cases by rules with cards of their own, not longer ago than cases belong together
    wave_ms: int | None = None  # when a wave of people was last noticed
    shown: frozenset[str] = frozenset()  # the rules of undecided cases of the last hour with cards of their own

    def after(self, opened: CaseOpened, now_ms: int) -> "RoomLately":
        """Return what is known once this case is opened."""
        if opened.burst:
            began = self.burst.began if self.burst and self.burst.n == opened.burst else now_ms
            return replace(self, burst=Burst(opened.burst, began, now_ms))
        alone = self.alone + (can_be_shared(opened) and has_card(opened.rule))
        return replace(self, alone=alone, shown=self.shown | ({opened.rule} if opened.state == "open" else set()))


def can_be_shared(opened: CaseOpened) -> bool:
    """Return whether a case can be part of a burst."""
    by_rule = opened.rule not in OWN_RULES or opened.rule in BY_LISTS_AND_WAVES
    return by_rule and not (opened.by or opened.lead or opened.manages)


def with_bursts(facts: Iterable[Fact], lately: Mapping[RoomId, RoomLately], policy: Policy, now_ms: int) -> list[Fact]:
    """Return the facts of one cause, with the burst of each case that they open in one of these rooms."""
    rooms, found = dict(lately), []
    for fact in facts:
        if isinstance(fact, CaseOpened) and fact.home in rooms:
            fact = replace(fact, burst=_burst_of(fact, rooms[fact.home], policy, now_ms))
            rooms[fact.home] = rooms[fact.home].after(fact, now_ms)
        found.append(fact)
    return found


def _burst_of(opened: CaseOpened, lately: RoomLately, policy: Policy, now_ms: int) -> int:
    if not policy.groups.cards or not can_be_shared(opened):
        return 0
    if opened.state == "open" and opened.rule not in lately.shown:
        return 0
    if (burst := lately.burst) is not None and _goes_on(burst, policy, now_ms):
        return burst.n
    wave = lately.wave_ms is not None and now_ms - lately.wave_ms < policy.joins.lasts
    begins = lately.alone >= (1 if wave else policy.groups.cards)
    return opened.n if has_card(opened.rule) and begins else 0


def _goes_on(burst: Burst, policy: Policy, now_ms: int) -> bool:
    return now_ms - burst.last <= policy.reports.together_within and now_ms - burst.began < LASTS_MS
