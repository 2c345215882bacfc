"""Limits how much one person can report: each report takes the time of the people who decide it.

Rules kept here: reports about one case count once; what is undecided counts as long as it waits, though not beyond the
time of misuse; every report that was right gives one more, every one that was wrong takes one away, but one always
stays; of what was reported in another community only the day counts, whatever its people make of it. Pure. Left to
others: reading what somebody reported (`storage/queries/reports.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.policy import ReportSettings
from moderation.values.durations import DAY_MS

ELSEWHERE = "elsewhere"  # of a case in another community: decided or not, right or wrong, is said there


@dataclass(frozen=True, slots=True)
class Filed:
    """One case that somebody reported: when they first did, and what became of it ("" if it waits; `ELSEWHERE`)."""

    n: int
    at: int
    outcome: str = ""


def free_again(filed: Sequence[Filed], settings: ReportSettings, now_ms: int) -> int | None:
    """Return when a person who has used up their reports can report again; None if they can report now."""
    if not settings.a_day:
        return None
    allowed = allowance(filed, settings)
    ends = sorted(end for each in filed if (end := _counts_until(each, settings)) > now_ms)
    return ends[len(ends) - allowed] if len(ends) >= allowed else None


def allowance(filed: Sequence[Filed], settings: ReportSettings) -> int:
    """Return how many reports a person has, by how often their reports were right."""
    right = sum(each.outcome == "upheld" for each in filed)
    wrong = sum(each.outcome == "dismissed" for each in filed)
    return max(1, min(settings.a_day + right - wrong, max(settings.a_day, settings.a_day_at_most)))


def _counts_until(each: Filed, settings: ReportSettings) -> int:
    return each.at + (DAY_MS if each.outcome else max(DAY_MS, settings.misuse_within))
