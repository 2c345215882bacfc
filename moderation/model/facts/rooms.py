"""Facts about how rooms are served."""

from typing import Literal

from moderation.policy import WaveMeasure
from moderation.values.ids import GroupCode, UserId

from .base import Fact, person, unowned


class RoomEntered(Fact, kind="state", renames=True):
    """The bot serves a room from now on. `purpose` is its use; `served` is the group of a desk or a lobby.

    Of a space the bot follows only the list of rooms.
    """

    what: Literal["entered"] = "entered"
    code: GroupCode
    purpose: Literal["group", "desk", "direct", "lobby", "space"]
    served: str = "-"  # group code
    room_id: str = unowned()
    via: str = unowned()
    subject: UserId = person()  # whose direct room it is; who invited the bot to a group


class RoomStateChanged(Fact, kind="state", changes="all rooms"):
    """The room is observing, protected, left ... from now on."""

    what: Literal["condition"] = "condition"
    condition: Literal["joining", "announced", "observing", "protected", "left"]
    notice: str = unowned()  # "announced": the event that told members what is recorded


class DeskChosen(Fact, kind="state", changes="all rooms"):
    """The cases of a group (`room`) are shown in another desk from now on.

    `desk` is the code of that desk; "-": a new one, or that of the same people; "own": a new one for this room alone.
    `why`: the same people run the rooms, and the operator wants "one" desk; they do so no longer ("differ"), or `by`
    asked for it.
    """

    what: Literal["desk"] = "desk"
    desk: str = "-"
    why: Literal["same", "one", "differ", "asked"]
    by: UserId = person()


class RoomListed(Fact, kind="state", changes="all rooms"):
    """A space (`room`) begins or ceases to list another room, which so enters or leaves the space's community."""

    what: Literal["listed", "unlisted"]
    child: str = unowned()  # the room
    by: UserId = person()


class WaveNoticed(Fact, kind="state"):
    """Many people (`count`) came into a room within a time. `do`: what the bot does about it, until `until`.

    `limited`: 1 if it did more often enough that day. `removed`: how many of them it removes.
    """

    what: Literal["wave"] = "wave"
    count: int
    within: int
    do: WaveMeasure
    until: int = 0
    n: int = 0
    limited: int = 0
    removed: int = 0


class PolicyServerSet(Fact, kind="state", changes="nothing"):
    """A room is to ask the policy server before it delivers messages, or no longer ("on", "off": its owner chose it).

    "changed": `by` changed the room's state to something else, so it is as if off. "down": meanwhile it does not ask,
    since the policy server cannot be reached from outside; "back": it asks again.
    """

    what: Literal["policy"] = "policy"
    step: Literal["on", "off", "changed", "down", "back"]
    by: UserId = person()
