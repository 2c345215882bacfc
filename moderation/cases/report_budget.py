"""A limit on how much one person can report, since each report takes the time of the people who decide it.

Rules kept here:
- Reports about one case count once.
- An undecided report counts as long as it waits, though not beyond the time of misuse.
- Every report that was right allows one more, every wrong one takes one away, but one always stays.
- Reports in another community only count for a day, whatever its people decide.

Pure. Left to others: reading what somebody reported (`storage/queries/reports.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.policy import ReportSettings
from moderation.values.durations import DAY_MS

ELSEWHERE = "elsewhere"  # of a case in another community, where it is decided


@dataclass(frozen=True, slots=True)
class Filed:
    """One case that somebody reported: the time of the first report, and its outcome ("" if it waits; `ELSEWHERE`)."""

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
    """Return how many reports a person has, depending on how often their reports were right."""
    right = sum(each.outcome == "upheld" for each in filed)
    wrong = sum(each.outcome == "dismissed" for each in filed)
    return max(1, min(settings.a_day + right - wrong, max(settings.a_day, settings.a_day_at_most)))


def _counts_until(each: Filed, settings: ReportSettings) -> int:
    return each.at + (DAY_MS if each.outcome else max(DAY_MS, settings.misuse_within))
