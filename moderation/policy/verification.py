"""Settings of verification."""

from typing import Annotated, Literal

from pydantic import Field

from moderation.rules.base import StrictSettings
from moderation.values.durations import DAY_MS, Duration
from moderation.values.levels import REACHES, Method

LevelAsked = Annotated[int, Field(ge=0, le=3)]


Below = Literal["off", "remind", "restrict", "gate", "remove"]


METHODS: frozenset[Method] = frozenset(REACHES)


class RoomVerification(StrictSettings):
    """Settings of verification for some rooms; None: as `[verification]` says."""

    rooms: tuple[str, ...]  # as in a rule
    write: LevelAsked | None = None
    manage: LevelAsked | None = None
    found: LevelAsked | None = None
    below: Below | None = None
    grace: Duration | None = None
    methods: tuple[Method, ...] | None = None


class VerificationSettings(StrictSettings):
    """Verification levels that rooms ask for, what happens below them, and vouching.

    Other methods have settings of their own.
    """

    write: LevelAsked = 0
    manage: LevelAsked = 0
    found: LevelAsked = 0  # for the bot to come in: of the person who founded the room
    below: Below = "remind"
    grace: Duration = 7 * DAY_MS
    methods: tuple[Method, ...] = ("vouch", "roster")  # the methods that count
    rooms: tuple[RoomVerification, ...] = ()  # the first that matches counts
    vouch_lasts: Duration = 183 * DAY_MS
    vouches_per_manager: int = 50  # in force at once
    pin_keys: bool = True  # whether a changed master key (cross-signing) means being verified again
