"""Settings of the ledgers: prices, tiers, standing, duty."""

from typing import Annotated, Literal

from pydantic import Field

from moderation.rules.base import Grade, StrictSettings
from moderation.values.durations import DAY_MS, Duration


class Costs(StrictSettings):
    """The points that a violation of each class costs."""

    minor: int = 5
    moderate: int = 10
    serious: int = 25
    severe: int = 50

    def of(self, grade: Grade) -> int:
        return int(getattr(self, grade))


class CreditSettings(StrictSettings):
    """Settings of credit (docs/model.md, "Credit"): amounts in points, times in milliseconds."""

    start: int = 100
    ceiling: int = 100
    costs: Costs = Costs()
    first_minor_is_warning: bool = True
    repeat_within: Duration = 90 * DAY_MS
    second_percent: int = 150  # the same rule a second time within `repeat_within`
    further_percent: int = 200
    incident_limit: int = 60  # at most these points for one incident
    incident_window: Duration = 10 * 60_000  # the same rule by the same person within this time: one incident
    quiet_before_recovery: Duration = 7 * DAY_MS
    recover_every: Duration = 3 * DAY_MS  # one point each
    expires_after: Duration = 183 * DAY_MS
    scope: Literal["deployment", "room"] = "deployment"


class TierSettings(StrictSettings):
    """Lower bounds of the tiers, and their consequences. Below `d` is tier E."""

    a: int = 80
    b: int = 60
    c: int = 40
    d: int = 20
    manage_from: int = 40  # below this credit (or standing), rights to manage are suspended
    slow_every: Duration = 30_000  # tier C: one message in this time
    hold_links_and_media: bool = True  # tier C: they wait for a manager
    mute_for: Duration = 3 * DAY_MS  # tier D
    demote_for: Duration = 7 * DAY_MS  # at least; longer until credit is back
    barred_for: Duration = 90 * DAY_MS  # tier E, until the review


class StandingSettings(StrictSettings):
    """Prices of neglect in the ledger of those who run groups. Points come back as those of credit do."""

    start: int = 100
    ceiling: int = 100
    overdue: int = 5  # a case past its deadline while on duty,
    overdue_daily: int = 2  # then for every further day,
    overdue_at_most: int = 20  # and in all for one case
    overdue_a_day: Annotated[int, Field(ge=0)] = 1  # of a person's overdue cases in a day, how many cost points; 0: all
    nobody_on_duty: int = 10  # the owner's charge when a case comes and nobody is on duty
    clear_error: int = 5  # a decision that was reversed for clear error
    bad_faith: int = 25
    own_case: int = 15
    false_vouch: int = 15
    identity_read: int = 25  # identity data read without reason


class DutySettings(StrictSettings):
    """Limits of being on duty and being away."""

    away_at_most: Duration = 60 * DAY_MS
    at_most: Annotated[int, Field(ge=0)] = 20  # how many cases a day one person is asked about; 0: no limit
