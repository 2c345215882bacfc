"""Limits on people in one room, rooms that one person is in, and rooms founded by one person.

Rules kept here:
- The last to come is removed, with a kind word and at no cost.
- Owners and managers of a room, operators and the bot are never removed.
- Several accounts of one person count as one.
- Somebody who comes back within one incident gets no further case.
- What was there before a limit was set, or before the bot came, stays as it is.

Left to others: counting (`bot/pipeline/room_changes.py`, `bot/sync/sync_loop.py`), the words.
"""

from dataclasses import dataclass

from moderation.duty.responsibility import can_be_removed
from moderation.model.builtin_rules import CAP_JOINED, CAP_MEMBERS
from moderation.model.context import Context, RoomView
from moderation.model.facts import CaseGrew, Fact
from moderation.model.new_facts import decided_case, sanction_here
from moderation.policy import Policy
from moderation.values.ids import EventId, UserId


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts for somebody who has just come into a room."""

    people: int  # people in the room, this one included, without the bot
    rooms: int  # protected rooms with any of their accounts, this room included


def enforce_limits(context: Context, counted: Counted, policy: Policy, *, event: EventId, on: int) -> tuple[Fact, ...]:
    """Return what follows when `context.subject` has come into `context.room`, by this event."""
    rule = _beyond(counted, most_members(context.room, policy), policy.member_limits.joined)
    if rule is None or not can_be_removed(context, policy):
        return ()
    known = context.subject.recent_cases.get((context.room.room, rule))
    if known is not None and context.now_ms - known.opened <= policy.credit.incident_window:
        again = CaseGrew(room=context.room.room, on=on, n=known.n, subject=context.subject.user, event=event)
        return (again, sanction_here(context, "kick", "rule", n=known.n, rule=rule, on=on))
    n, user, now = context.next_case, context.subject.user, context.now_ms
    opened = decided_case(rule, context.room.room, n, user, on=on, due=now, event=event)
    return (opened, sanction_here(context, "kick", "rule", n=n, rule=rule, on=on))


def declines(founded: int, founder: UserId, policy: Policy) -> bool:
    """Return whether the bot declines another room because its founder has founded too many that it serves."""
    limit = policy.member_limits.founded
    return 0 < limit <= founded and founder not in policy.operators


def most_members(room: RoomView, policy: Policy) -> int:
    """Return how many people may be in a room; 0: no limit."""
    limits = policy.member_limits
    return next((each.members for each in limits.rooms if room.is_among(each.rooms)), limits.members)


def _beyond(counted: Counted, members: int, joined: int) -> str | None:
    if 0 < members < counted.people:
        return CAP_MEMBERS
    return CAP_JOINED if 0 < joined < counted.rooms else None
