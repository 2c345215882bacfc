"""The door of a room on the bot's own homeserver: the people who are kept out before they are in.

Rules kept here:
- Nothing begins here. What keeps somebody out is in force already, with its record, its notice and its end: a ban by
  any of their accounts, a measure that shuts the room, or the level of verification that a gated room asks for.
- An invitation by the bot, an operator, or somebody who runs the room opens the door, but for somebody who is banned.
- Operators, the bot, and those who run the room are not kept out.
- Somebody who is in the room is not asked about: to change one's name is a join, too, for the homeserver.

Pure. Left to others: reading what is in force, and the answer in words (`bot/antispam/door.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from moderation.duty.responsibility import is_operator
from moderation.model.context import Context, InForce
from moderation.people.door import welcome
from moderation.people.verification import asked_of
from moderation.policy import Policy
from moderation.rooms.join_waves import Coming, is_invited, shutting
from moderation.values.ids import NO_EVENT, UserId

WhyKeptOut = Literal["banned", "shut", "unverified"]


@dataclass(frozen=True, slots=True)
class KeptOut:
    """The reason why somebody cannot come into a room now, and until when (milliseconds; 0: no end is known)."""

    why: WhyKeptOut
    until: int = 0


def kept_out(context: Context, measures: Iterable[InForce], by: UserId | None, policy: Policy) -> KeptOut | None:
    """Return why `context.subject` is kept out of `context.room`, if so.

    `measures` are those in force against the room; `by` is the person who invites, or last invited, the subject.
    """
    subject, room = context.subject, context.room
    if room.purpose != "group" or not room.active:
        return None
    if subject.user == context.bot or is_operator(subject.user, policy) or room.power.role(subject.user) != "member":
        return None
    bans = [each.until for each in subject.in_force if each.kind == "ban" and each.covers(room)]
    if bans:
        return KeptOut("banned", 0 if 0 in bans else max(bans))
    coming = Coming(subject.user, context.now_ms, by or subject.user, NO_EVENT)
    if is_invited(coming, room, context.bot, policy):
        return None
    if (shut := shutting(measures)) is not None:
        return KeptOut("shut", shut.until)
    gated = room.condition == "protected" and asked_of(room, policy).gated
    if gated and not welcome(subject, room, context.bot, policy, context.now_ms):
        return KeptOut("unverified")
    return None
