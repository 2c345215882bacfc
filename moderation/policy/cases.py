"""Settings of cases, reports and files on people."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from moderation.rules.base import Grade, Measure, StrictSettings
from moderation.values.durations import DAY_MS, HOUR_MS, Duration, DurationOrNever


class Deadlines(StrictSettings):
    """The time in which a case of each class has to be decided, in milliseconds."""

    minor: Duration = 72 * HOUR_MS
    moderate: Duration = 72 * HOUR_MS
    serious: Duration = 24 * HOUR_MS
    severe: Duration = 4 * HOUR_MS

    def of(self, grade: Grade) -> int:
        return int(getattr(self, grade))


class CaseSettings(StrictSettings):
    """Deadlines by class, by how much one can be put off, how long a decision can be appealed, usual reasons."""

    deadlines: Deadlines = Deadlines()
    appeal_within: Duration = 183 * DAY_MS
    # By how much a deadline can be put off once; at most as long as the class has. 0: not at all.
    more_time: DurationOrNever = DAY_MS
    # Why no rule was broken, by language, for a manager who gives no reason to choose from; (): the bot's own.
    reasons: tuple[Annotated[dict[str, str], Field(min_length=1)], ...] = Field(default=(), max_length=9)


class DossierSettings(StrictSettings):
    """Definition of a serious and continuing offender."""

    serious: int = 2  # this many serious cases upheld,
    severe: int = 1  # or this many severe ones,
    within: Duration = 90 * DAY_MS  # within this time, after a first sanction


_SELECTORS = str.maketrans("", "", "\ufe0e\ufe0f")  # text and picture variants: some clients add them, some do not


class ReportSettings(StrictSettings):
    """Reports by members."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    grade: Annotated[Grade, Field(alias="class")] = "moderate"
    measure: Measure = "redact"  # consequence of upholding one
    mute_for: Duration = 10 * 60_000
    ban_for: Duration = 7 * DAY_MS
    reactions: tuple[str, ...] = ("🚩", "⚠️")  # a reaction with one of these reports its message
    a_day: Annotated[int, Field(ge=0)] = 5  # how many reports of one person in a day, or undecided; 0: no limit
    a_day_at_most: Annotated[int, Field(ge=1)] = 20  # for people whose reports were right
    together_within: Duration = 10 * 60_000  # reports by one person on several people in this time share one card
    homeserver: Literal["", "synapse"] = ""  # where reports made to the homeserver are read from
    outside_a_day: Annotated[int, Field(ge=0)] = 10  # how many notices from outside for one room; 0: no limit
    misuse_after: int = 3  # this many dismissed reports
    misuse_within: Duration = 30 * DAY_MS  # within this time bring a warning; as many again bring a pause
    misuse_pause: Duration = 7 * DAY_MS  # this long without reports

    def means(self, key: str) -> bool:
        """Return whether a reaction with this key reports its message."""
        return key.translate(_SELECTORS) in {each.translate(_SELECTORS) for each in self.reactions}
