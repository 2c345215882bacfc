"""The duty that is left in a room during somebody's absence: the replacement, or the time from which nobody is there.

Rules kept here:
- `duty.py` alone says who is on duty.
- Others count as away until the time at which they said they would be back.
- Only two weeks of a roster are looked at, since every week is the same.

Left to others: letting somebody be away (`bot/commands/duty.py`), what it costs if nobody is there
(`moderation/cases/obligations.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from moderation.values.durations import DAY_MS
from moderation.values.ids import UserId

from .duty import Duty, on_duty
from .hours import intervals

_LOOK_AHEAD_MS = 15 * DAY_MS


@dataclass(frozen=True, slots=True)
class Left:
    """The people on duty meanwhile: managers, only owners, or at some time nobody, from `since` on."""

    who: Literal["managers", "owner", "nobody"]
    since: int
    people: tuple[UserId, ...] = ()  # the owners who stand in


def left_by(duty: Duty, user: UserId, now_ms: int, until_ms: int, back: Mapping[UserId, int]) -> Left:
    """Return who is on duty if `user` is away until `until_ms`; `back`: when the others are back."""
    absent = {**back, user: until_ms}

    def there(at: int) -> tuple[UserId, ...]:
        return on_duty(replace(duty, away=frozenset(who for who, until in absent.items() if until > at)), at)

    times = sorted(set(_changes(duty, now_ms, min(until_ms, now_ms + _LOOK_AHEAD_MS))))
    for at in times:
        if not there(at):
            return Left("nobody", at)
    stand_in = {owner for owner in duty.owners if owner not in duty.roster}
    if all(stand_in.issuperset(there(at)) for at in times):
        return Left("owner", now_ms, there(now_ms))
    return Left("managers", now_ms)


def _changes(duty: Duty, now_ms: int, until_ms: int) -> Iterator[int]:
    """Yield the times at which the people on duty may change."""
    yield now_ms
    for hours in duty.roster.values():
        for pair in intervals(hours, now_ms, until_ms):
            yield from (time for time in pair if now_ms < time < until_ms)
