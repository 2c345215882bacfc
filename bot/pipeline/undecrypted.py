"""The answers to people who make their messages unreadable for the bot.

They send ciphertext in a room that is not encrypted, or withhold their keys from the bot.

Rules kept here:
- The first such message of a person in a room on a day is told to them and to the desk.
- With `[bot] unreadable = "remove"` the following ones are removed, since nobody else can judge them either.
- A message that cannot be read for another reason, such as a late or lost key, has no consequence for anybody.
- What was told is kept in memory only: after a restart it is told once more.
"""

from collections.abc import Mapping
from typing import Literal

from bot.runtime.newest import Newest
from moderation.model.actions.base import Action
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.context import RoomView
from moderation.values.durations import DAY_MS
from moderation.values.events import IN_A_PLAIN_ROOM
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import RoomName, Who, line

Consequence = Literal["tell", "remove"]

# Codes (client-server API v1.19, "Reporting that decryption keys are withheld") -> the key of the texts.
_OWN_DOING: Mapping[str, str] = {
    IN_A_PLAIN_ROOM: "plain",
    "m.unverified": "withheld",
    "m.blacklisted": "withheld",
    "m.unauthorised": "withheld",
}
_MOST_TOLD = 10_000


class UnreadMessages:
    """The consequences of such messages."""

    def __init__(self, consequence: Consequence, bot: UserId) -> None:
        self._consequence = consequence
        self._bot = bot
        self._told = Newest[tuple[RoomId, UserId], int](_MOST_TOLD)  # on which day

    def follow(self, room: RoomView, event: EventId, sender: UserId, at_ms: int, code: str) -> tuple[Action, ...]:
        """Return what follows from an event that cannot be read because of `code`."""
        kind = _OWN_DOING.get(code)
        if kind is None or room.purpose != "group" or not room.active or sender == self._bot:
            return ()
        who, day = (room.room, sender), at_ms // DAY_MS
        removes = self._consequence == "remove" and room.power.can_redact_others(self._bot)
        if self._told.get(who) == day:
            return (Redact(room=room.room, event=event, subject=sender),) if removes else ()
        self._told[who] = day
        name = RoomName(room.room)
        theirs = [line(f"sealed.{kind}", room=name, bot=Who(self._bot))]
        ours = [line(f"desk.sealed.{kind}", who=Who(sender), room=name)]
        if removes:
            theirs.append(line("sealed.removed"))
            ours.append(line("desk.sealed.removed"))
        tell = Tell(room=room.room, subject=sender, lines=tuple(theirs), alone=True)
        return (tell, TellDesk(room=room.room, lines=tuple(ours), once=f"sealed {sender}"))
