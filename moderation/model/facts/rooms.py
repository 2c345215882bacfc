"""Facts about how rooms are served."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import GroupCode, UserId

from .base import Changes, Fact, person, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntered(Fact):
    """The bot serves a room from now on. `purpose` is its use; `served` is the group of a desk or a lobby.

    Of a space the bot follows only the list of rooms.
    """

    KIND: ClassVar[str] = "state"
    RENAMES: ClassVar[bool] = True

    what: Literal["entered"] = "entered"
    code: GroupCode
    purpose: Literal["group", "desk", "direct", "lobby", "space"]
    served: str = "-"  # group code
    room_id: str = unowned()
    via: str = unowned()
    subject: UserId = person()  # whose direct room it is; who invited the bot to a group


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStateChanged(Fact):
    """The room is observing, protected, left ... from now on."""

    KIND: ClassVar[str] = "state"

    what: Literal["condition"] = "condition"
    condition: Literal["joining", "announced", "observing", "protected", "left"]
    notice: str = unowned()  # "announced": the event that told members what is recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomListed(Fact):
    """A space (`room`) begins or ceases to list another room, which so enters or leaves the space's community."""

    KIND: ClassVar[str] = "state"
    CHANGES: ClassVar[Changes] = "all rooms"

    what: Literal["listed", "unlisted"]
    child: str = unowned()  # the room
    by: UserId = person()
