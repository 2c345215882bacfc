"""What the people who run a room set for it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.policy import Chosen
from moderation.values.ids import UserId

from .base import Fact, person, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRuleChanged(Fact):
    """A room has a rule of its own from now on, or has it no more."""

    KIND: ClassVar[str] = "rules"

    what: Literal["room"] = "room"
    step: Literal["added", "removed"]
    rule: str
    by: UserId = person()
    settings: str = unowned()  # JSON: what makes the rule; none where it is removed


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettingChanged(Fact):
    """The owner of a room chose something for it. `value` "-": what the operator says holds again."""

    KIND: ClassVar[str] = "state"

    what: Literal["setting"] = "setting"
    setting: Chosen
    value: str
    by: UserId = person()
