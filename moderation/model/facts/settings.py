"""Settings that the people who run a room choose for it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.policy import Chosen
from moderation.values.ids import UserId

from .base import Fact, person, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRuleChanged(Fact):
    """A room has a rule of its own from now on, or no longer has it."""

    KIND: ClassVar[str] = "rules"

    what: Literal["room"] = "room"
    step: Literal["added", "removed"]
    rule: str
    by: UserId = person()
    settings: str = unowned()  # the rule as JSON; empty if it is removed


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettingChanged(Fact):
    """The owner of a room chose a setting for it. `value` "-": the operator's setting holds again."""

    KIND: ClassVar[str] = "state"

    what: Literal["setting"] = "setting"
    setting: Chosen
    value: str
    by: UserId = person()
