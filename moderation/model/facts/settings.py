"""Settings that the people who run a room choose for it."""

from typing import Literal

from moderation.policy import Chosen
from moderation.values.ids import UserId

from .base import Fact, person, unowned


class RoomRuleChanged(Fact, kind="rules"):
    """A room has a rule of its own from now on, or no longer has it."""

    what: Literal["room"] = "room"
    step: Literal["added", "removed"]
    rule: str
    trial: int = 0  # 1: nothing follows from it
    by: UserId = person()
    settings: str = unowned()  # the rule as JSON; empty if it is removed


class RoomSettingChanged(Fact, kind="state"):
    """The owner of a room chose a setting for it. `value` "-": the operator's setting holds again."""

    what: Literal["setting"] = "setting"
    setting: Chosen
    value: str
    by: UserId = person()
