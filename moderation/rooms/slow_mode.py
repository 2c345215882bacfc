"""Messages that are held back: by a pace, or because they wait for a manager. docs/model.md, "Credit".

Rules kept here:
- Nothing is charged, and a pace causes no case.
- A pace counts from the last message that stood, so trying again too soon does not prolong the wait.
- An edit is never held back, but counts.
- Of two paces the slower holds.
- Messages written while the bot was away arrive at one moment: two messages are as far apart as they were received, or
  as their homeserver says they were sent, whichever is more.
- A person is told of a pace at once, then once a day in each room, with the number of messages held back since.

Left to others: what waits (`moderation/credit/waiting.py`), who is exempt (`moderation/judge/judge.py`), setting slow
mode (`measures.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from moderation.credit.credit import tier
from moderation.credit.ledger import credit_now
from moderation.credit.waiting import has_link_or_media
from moderation.model.builtin_rules import NEW_MEMBER_RULES, TIER_LINKS
from moderation.model.context import Context
from moderation.model.facts import Fact, SanctionStarted
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.events import MessagePosted

TIER_SLOW, ROOM_SLOW = "tier_slow", "room_slow"
PACES = frozenset({TIER_SLOW, ROOM_SLOW})
HELD_BACK = frozenset({*PACES, TIER_LINKS, *NEW_MEMBER_RULES})
TOLD_ONCE = PACES | NEW_MEMBER_RULES  # people are told of the first message, not of each
LEAST_MS, MOST_MS = 2_000, 6 * 3_600_000  # bounds of slow mode


@dataclass(frozen=True, slots=True)
class Pace:
    """A limit of one message in a time, and its rule."""

    rule: str
    every_ms: int


def pace(context: Context, policy: Policy) -> Pace | None:
    """Return the limit on how often the sender may write here, if there is one."""
    paces = []
    if _is_low(context, policy):
        paces.append(Pace(TIER_SLOW, policy.tiers.slow_every))
    if context.room.slow is not None:
        paces.append(Pace(ROOM_SLOW, context.room.slow.every))
    return max(paces, key=lambda each: each.every_ms, default=None)


def reason_to_hold(event: MessagePosted, context: Context, policy: Policy) -> str | None:
    """Return why this message is held back; None if it is not."""
    limit = pace(context, policy)
    if limit is not None and event.replaces is None and _is_too_soon(event, context, limit):
        return limit.rule
    holds = policy.tiers.hold_links_and_media and _is_low(context, policy)
    if holds and has_link_or_media(event):
        return TIER_LINKS
    return None


def is_held_back(facts: Iterable[Fact]) -> bool:
    """Return whether one of these facts redacts a message only because it came too soon or waits for a manager."""
    return any(isinstance(fact, SanctionStarted) and fact.rule in HELD_BACK for fact in facts)


def was_told(reason: str, context: Context) -> bool:
    """Return whether the sender already knows of this."""
    last = context.subject.told.get((context.room.room, reason))
    if last is None or reason not in PACES:
        return False
    begun = context.room.slow.since if reason == ROOM_SLOW and context.room.slow is not None else 0
    return last >= max(begun, context.now_ms - DAY_MS)


def _is_low(context: Context, policy: Policy) -> bool:
    """Return whether credit is in tier C or below: not C alone, or the end of a mute could leave people better off."""
    return tier(credit_now(context, policy), policy.tiers) not in ("A", "B")


def _is_too_soon(event: MessagePosted, context: Context, limit: Pace) -> bool:
    last = context.stood
    if last is None:
        return False
    return event.counted_ms - last < limit.every_ms  # never its server's own claim, which could be anything
