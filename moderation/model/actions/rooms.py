"""Actions on rooms: levels and bans, joining and leaving, desks and lobbies."""

from moderation.values.ids import NO_USER, EventId, UserId
from moderation.values.notices import Line

from .base import CARD, DECLINES, ENTRIES, NICETY, STATE, STOP, Action


class Align(Action, name="align", priority=STOP, queue="state {room}", merge="align {room}"):
    """Bring the room's power levels and bans in line with the sanctions in force."""

    routine: bool = False  # no change is known, so it stops nobody

    @property
    def priority(self) -> int:
        return STATE if self.routine else STOP


class AlignServers(Action, name="servers", priority=STATE, queue="servers {room}", merge="servers {room}"):
    """Bring the room's server ACL in line with the denials in force."""


class AlignPolicy(Action, name="policy", priority=STATE, queue="policy {room}", merge="policy {room}"):
    """Bring in line whether the room asks the policy server before it delivers messages.

    `by`: somebody else has just set what it asks; its owners are told who it was if that had to be put right.
    """

    by: UserId = NO_USER


class Enter(Action, name="enter", priority=ENTRIES, queue="state {room}", merge="enter {room}"):
    """Join a room the bot was invited to, say what will be recorded, and begin."""

    inviter: UserId
    via: str = ""
    direct: bool = False  # a room with the inviter alone, for commands to the bot
    follows: bool = False  # only if an upgraded group continues in it; the inviter may not bring in the bot otherwise


class Decline(Action, name="decline", priority=DECLINES, queue="state {room}", merge="decline {room}"):
    """Decline the invitation to a room."""


class Pin(Action, name="pin", priority=STATE, queue="state {room}", merge="pin {room}"):
    """Pin the notice of what is recorded, once the bot has the power to."""

    event: EventId


class Adopt(Action, name="adopt", priority=STATE, queue="state {room}", merge="adopt {room}"):
    """Move the group into a new room whose only creator is the bot, as its owner (`subject`) wishes."""

    subject: UserId


class Bring(Action, name="bring", queue="invite {room} {subject}"):
    """Invite somebody into the room in which their group continues."""

    subject: UserId


class Leave(Action, name="leave", priority=STATE, queue="state {room}", merge="leave {room}"):
    """Leave a group and its desk, as its owner or the operator (`subject`) wishes, and say so in both."""

    subject: UserId


class LeaveDirect(Action, name="leave-direct", priority=STATE):
    """Leave a direct room with `subject`, who is no longer alone there."""

    subject: UserId


class KeepDesk(Action, name="desk", priority=STATE, merge="desk {room} {settles}"):
    """Create the desk of a group if it has none, and keep its members in step with the managers.

    `settles`: when (ms) the group gets another desk if it then still has not the same people as the others in this one.
    """

    settles: int = 0

    @property
    def priority(self) -> int:
        return NICETY if self.settles else STATE


class InviteManager(
    Action,
    name="invite-manager",
    priority=CARD,
    queue="invite {room} {subject}",
    merge="invite-manager {room} {subject}",
):
    """Invite a manager of a group (`room`) into its desk."""

    subject: UserId


class QuitDesk(Action, name="quit-desk", speaks=True):
    """Say in a desk (`room`) that a group no longer uses it, and leave the desk if no group does."""

    lines: tuple[Line, ...]


class KeepLobby(Action, name="lobby", priority=STATE, merge="lobby {room}"):
    """Create the lobby of a gated group if it has none; leave it when the group is no longer gated."""


class LetIn(Action, name="let-in", queue="invite {room} {subject}", merge="let-in {room} {subject}"):
    """Invite somebody who may come in and is not there."""

    subject: UserId


class ListMissing(Action, name="missing", merge="missing {room}"):
    """Tell the desk of a group, not before `settles` (ms), which rooms its community's spaces list without the bot."""

    settles: int = 0
