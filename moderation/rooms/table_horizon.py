"""The time for which events of people stay in the tables: as long as anything reads many of them.

Rules kept here:
- It follows from the settings: the longest time for which rules count, a sweep reaches back, or a case may wait.
- What concerns one message that is older is answered from the log.

Pure. Left to others: when events leave the tables (`bot/scheduler/old_events.py`), which of them
(`storage/queries/old_events.py`).
"""

from moderation.policy import Policy
from moderation.rules.base import LONGEST_OWN_MS
from moderation.values.durations import DAY_MS

from .slow_mode import MOST_MS as SLOWEST_MS

TRIAL_MS = 7 * DAY_MS  # for which people are shown what rules on trial would have found
_LEVELS = 3  # that a case passes through: managers, the owner, the operator


def events_stay_ms(policy: Policy) -> int:
    """Return how long (ms) events stay in the tables, at least."""
    cases = policy.cases
    waits = _LEVELS * max(cases.deadlines.minor, cases.deadlines.moderate, cases.deadlines.serious)
    counted = max((LONGEST_OWN_MS, *(rule.window_ms() for rule in policy.rules)))
    longest = max(counted, policy.sweep.within, waits + cases.more_time, TRIAL_MS, SLOWEST_MS)
    return longest + DAY_MS
