"""The number of people on duty at each hour, for a calendar.

Rules kept here:
- Who is on duty is decided as `duty.py` does. People who are away now are left out of the whole calendar.
- An hour in which nobody is there for a part of it has nobody: a calendar must not hide a gap.
"""

from collections.abc import Iterator

from moderation.values.durations import HOUR_MS

from .duty import Duty, owners_there
from .hours import intervals

WEEK = 7 * 24  # hours
_PARTS = 4  # times within an hour at which is looked


def people_by_hour(duty: Duty, since_ms: int, hours: int = WEEK) -> tuple[int, ...]:
    """Return how many people are on duty in each hour from `since_ms` on: the least within the hour."""
    always, owners = _always(duty), len(owners_there(duty))
    turns = _turns(duty, since_ms, since_ms + hours * HOUR_MS)
    begins = (since_ms + hour * HOUR_MS for hour in range(hours))
    return tuple(min(always + _at(turns, at_ms) or owners for at_ms in _moments(begin)) for begin in begins)


def _always(duty: Duty) -> int:
    """Return how many managers are on duty without a roster."""
    return 0 if duty.roster else sum(map(duty.can_be_asked, duty.managers))


def _turns(duty: Duty, since_ms: int, until_ms: int) -> list[list[tuple[int, int]]]:
    """Return the times of each person in the roster who can be on duty."""
    people = [user for user in (*duty.managers, *duty.owners) if user in duty.roster and duty.can_be_asked(user)]
    return [list(intervals(duty.roster[user], since_ms, until_ms)) for user in people]


def _at(turns: list[list[tuple[int, int]]], at_ms: int) -> int:
    return sum(any(start <= at_ms < end for start, end in times) for times in turns)


def _moments(since_ms: int) -> Iterator[int]:
    return (since_ms + part * HOUR_MS // _PARTS for part in range(_PARTS))
