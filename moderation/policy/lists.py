"""Settings of policy lists: those that are watched, and our own."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from moderation.rules.base import Grade, StrictSettings
from moderation.values.durations import DAY_MS, Duration
from moderation.values.ids import RoomId, is_room_id

from .verification import LevelAsked

Trust = Literal["look", "propose", "agree", "apply"]


Choice = Literal["none", "look", "propose", "apply"]  # how far people who run a room may trust a list there


Takedown = Literal["ban", "redact"]  # what an entry brings that asks to remove messages, too (MSC4204)


ListKind = Literal["user", "server"]


LIST_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"


ListName = Annotated[str, Field(pattern=LIST_NAME)]


def _list_room(text: str) -> str:
    if not (is_room_id(text) or (text.startswith("#") and ":" in text)):
        raise PydanticCustomError("list_room", "neither a room id nor an alias")
    return text


class WatchedList(StrictSettings):
    """A policy list that the operator watches (docs/lists.md)."""

    name: ListName
    room: Annotated[str, AfterValidator(_list_room)]
    via: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ("*",)  # as in a rule
    trust: Trust = "propose"
    agree: Annotated[int, Field(ge=2)] = 2  # trust "agree": so many lists must say the same
    kinds: tuple[ListKind, ...] = ("user", "server")
    acl: bool = False  # whether entries about servers go into room ACLs
    takedown: Takedown = "ban"  # what entries that ask to remove messages, too, bring (MSC4204)
    senders: tuple[str, ...] = ()  # whose entries count, as globs; (): all that the list's room lets write


def _own_list_room(text: str) -> RoomId:
    if not is_room_id(text):
        raise PydanticCustomError("own_list_room", "not a room id")
    return RoomId(text)


class PublishedList(StrictSettings):
    """A policy list of our own, which others may watch (docs/lists.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: ListName
    room: Annotated[RoomId, AfterValidator(_own_list_room)]  # by its id, since entries are taken back there
    by: Literal["manager", "owner", "operator"] = "owner"  # who may publish; operators always
    rooms: tuple[str, ...] = ("*",)  # whose cases may be published, as in a rule
    hashed: bool = True  # whether entries say whom they mean by a hash only (MSC4205)
    least: Annotated[Grade, Field(alias="from")] = "serious"  # of the cases that may be published


class ListSettings(StrictSettings):
    """Consequences of entries of policy lists (`moderation/lists/matching.py`)."""

    act_at_most: Annotated[int, Field(ge=0)] = 20  # one change that touches more of our people waits for a word
    spare_verified: LevelAsked = 2  # from this level on an entry never acts by itself; it is proposed
    never: tuple[str, ...] = ()  # globs over ids that no entry touches
    lasts: Duration = 365 * DAY_MS  # a ban by a list ends by itself; it is renewed while the entry stands
    managers: Choice = "propose"  # how far managers may trust a list that they choose for their room
    owners: Choice = "apply"  # and owners
    watch: tuple[WatchedList, ...] = ()
    publish: tuple[PublishedList, ...] = ()
