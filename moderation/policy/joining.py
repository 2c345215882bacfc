"""Settings of people who come into a room: newcomers, and waves of people."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from moderation.rules.base import StrictSettings
from moderation.rules.unless import MOST_MESSAGES, Unless
from moderation.values.durations import DAY_MS, HOUR_MS, Duration, DurationOrNever

from .verification import LevelAsked

MOST_COMING = 1_000  # people of one wave


Held = Literal["links", "media", "mentions", "invites"]


WaveMeasure = Literal["tell", "gate", "close"]  # the stricter the later


class NewcomerSettings(StrictSettings):
    """Limits on people who are new in a room."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    hold: tuple[Held, ...] = ()  # (): nothing
    lasts: Annotated[DurationOrNever, Field(alias="for")] = 10 * 60_000  # they are new for so long at least,
    messages: Annotated[int, Field(ge=0, le=MOST_MESSAGES)] = 3  # and until so many of their messages stand
    unless: Unless = Unless(verified=1)  # the people to whom it does not apply
    rooms: tuple[str, ...] = ("*",)  # as in a rule


class JoinSettings(StrictSettings):
    """Waves of people who come into a room at once; 0 people: no wave."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    wave: Annotated[int, Field(ge=0, le=MOST_COMING)] = 20  # so many people
    within: Duration = 60_000  # within this time,
    slow_wave: Annotated[int, Field(ge=0, le=MOST_COMING)] = 0  # or so many
    slow_within: Duration = HOUR_MS  # within this time
    do: WaveMeasure = "tell"  # tell those who run the room; or let nobody in uninvited, or close the room
    lasts: Annotated[Duration, Field(alias="for")] = 30 * 60_000  # for so long; no other wave is told meanwhile
    a_day: Annotated[int, Field(ge=0)] = 3  # how often in a day a room is gated or closed; then people are only told
    undo: Literal["", "kick"] = ""  # with gate or close: whether those of the wave who said nothing are removed
    spare_verified: LevelAsked = 1  # people verified at this level do not count; 0: they count
    unless: Unless = Unless(in_room_for=DAY_MS)  # the people who do not count, either
    rooms: tuple[str, ...] = ("*",)  # as in a rule

    @property
    def counts(self) -> bool:
        """True if anybody counts who comes."""
        return bool(self.wave or self.slow_wave)
