"""Settings of rooms and of communities, and limits in them."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from moderation.rules.base import Grade, StrictSettings
from moderation.values.durations import DAY_MS, HOUR_MS, Duration
from moderation.values.ids import RoomId, is_room_id

Chosen = Literal["language", "verify", "digest", "newcomers", "joins"]  # what the owner of a room can choose for it


class RoomSettings(StrictSettings):
    """Consequences for a group whose cases are neglected, and their times; what its people may set."""

    rectify_within: Duration = 72 * HOUR_MS  # then posting is suspended
    suspend_for: Duration = 7 * DAY_MS  # then the operator is asked again
    close_after_suspension: bool = False  # then the group is closed without a question to the operator
    own_rules: Annotated[int, Field(ge=0, le=200)] = 20  # how many rules of its own a room may have; 0: none
    own_rules_class: Grade = "moderate"  # the gravest class that such a rule can have
    owners_set: tuple[Chosen, ...] = ("language", "verify", "digest", "newcomers", "joins")
    own_rules_terms: Annotated[int, Field(ge=1, le=10_000)] = 100  # words, patterns or domains in one of its own rules
    refused: tuple[str, ...] = ()  # rooms the bot does not enter again: globs over ids, aliases, group codes
    share_desks: bool = True  # whether a new room uses the desk of other rooms that the same people own and run
    everywhere_confirm: Annotated[int, Field(ge=0)] = 5  # an order for more rooms at once is asked about first
    cards: Annotated[int, Field(ge=0)] = 4  # so many cases by rules in a room soon after one another have cards of
    # their own; those that follow share one (`moderation/cases/bursts.py`). 0: all have their own.


def _spaces(given: object) -> object:
    """Return the room ids of spaces: one may stand without a list."""
    spaces = (given,) if isinstance(given, str) else given or ()
    if not (isinstance(spaces, list | tuple) and all(is_room_id(each) for each in spaces)):
        raise PydanticCustomError("community_space", "not a room id")
    return tuple(spaces)


class Community(StrictSettings):
    """Rooms that trust each other: decisions by the people of one hold in all of them."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]  # recorded, so do not rename it
    rooms: tuple[str, ...] = ()  # globs over room ids and group codes
    space: Annotated[tuple[RoomId, ...], BeforeValidator(_spaces)] = ()  # what they list is in the community, too
    adopt: Literal["off", "ask"] = "off"  # whether desks are told of listed rooms in which the bot is not
    desk: Literal["any", "one"] = "any"  # "one": rooms that the same people own and run always share a desk

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.rooms and not self.space:
            raise PydanticCustomError("community_of_nothing", "neither rooms nor a space")
        return self


class CommunitySettings(StrictSettings):
    """Reach of decisions by those who run a room (`moderation/model/reach.py`)."""

    default: Literal["room", "deployment"] = "room"  # the reach of a room in none of those named
    named: tuple[Community, ...] = ()  # the first that matches counts

    def asking(self, name: str) -> Community | None:
        """Return the community of this name if its desks are told of listed rooms in which the bot is not."""
        return next((each for each in self.named if each.name == name and each.space and each.adopt == "ask"), None)

    def has_one_desk(self, name: str) -> bool:
        """Return whether the rooms of a community always share a desk if the same people own and run them."""
        return any(each.name == name and each.desk == "one" for each in self.named)


class RoomMemberLimit(StrictSettings):
    """The limit on the number of people in some rooms."""

    rooms: tuple[str, ...]  # as in a rule
    members: int


class MemberLimitSettings(StrictSettings):
    """Limits on numbers of people and rooms; 0: no limit. Owners and managers of a room are never removed for it."""

    members: int = 0  # people in one room
    rooms: tuple[RoomMemberLimit, ...] = ()  # the first that matches counts
    founded: int = 0  # protected rooms founded by one person
    joined: int = 0  # protected rooms one person is in


class SweepSettings(StrictSettings):
    """Limits of redacting at once what somebody wrote."""

    at_most: Annotated[int, Field(ge=1, le=10_000)] = 500  # messages in one room
    within: Duration = 7 * DAY_MS  # how far back
