"""Actions that stop or remove messages and people, and those that undo it."""

from moderation.values.ids import NO_USER, EventId, UserId

from .base import NICETY, STATE, STOP, URGENT, Action


class Redact(Action, name="redact", priority=URGENT, early=True, queue=None):
    """Redact an event's content."""

    event: EventId
    subject: UserId
    rule: str = "-"


class Sweep(Action, name="sweep", priority=URGENT, queue=None):
    """Redact what somebody wrote in a room, from the record `oldest` on, a few messages at a time.

    `on` is the record of the order: what was said after it stays, unless they are banned. `events` are those found and
    not redacted yet, kept here so that a repeat names the same; `seen` is the newest record among all found so far;
    `refused` is why the homeserver refused one of them. `tries` says how often it answered none of those left with
    anything but errors, and `unanswered` how many were given up for that.
    """

    subject: UserId
    n: int
    on: int
    oldest: int
    until: int  # when it was ordered (ms)
    rule: str = "-"
    events: tuple[EventId, ...] = ()
    seen: int = -1
    found: int = 0
    refused: str = ""
    tries: int = 0
    unanswered: int = 0


class Kick(Action, name="kick", priority=STOP, early=True, queue=None):
    """Remove somebody from a room; they may come back. `n`, `rule`, `by`: of the case, if there is one."""

    subject: UserId
    n: int = 0
    rule: str = "-"
    by: UserId = NO_USER
    reason: str = ""  # of rows that an older version queued; not shown
    silent: bool = False  # nothing of theirs stands in the room, so what others wrote goes first

    @property
    def priority(self) -> int:
        return STATE if self.silent else STOP

    @property
    def early(self) -> bool:
        return not self.silent


class Unban(Action, name="unban", priority=STATE, queue="state {room}"):
    """Lift a ban that the bot did not set, on a manager's command."""

    subject: UserId


class InviteBack(Action, name="invite-back", queue="invite {room} {subject}"):
    """Invite the person whom case `n` removed or banned, now that it is reversed."""

    subject: UserId
    n: int


class TakeBack(Action, name="take-back", priority=NICETY, adorns=True):
    """Redact something that the bot itself said."""

    event: EventId
