"""The ticks of an axis, and their days as the language writes them.

Rules kept here:
- Amounts are marked at 1, 2 or 5 times a power of ten; all are whole numbers.
- Times are marked at the beginning of a day, week or month of UTC, as days are counted in the records.
- Any number of milliseconds is a time: what a calendar does not reach is its first or its last day.
"""

import datetime as dt
from collections.abc import Iterator
from functools import lru_cache
from itertools import count

from babel import Locale
from babel.dates import format_skeleton
from markupsafe import Markup

from .svg import DrawingWords, share, tag, words_at

DAY_MS = 86_400_000
_LAST_MS = int(dt.datetime(9999, 12, 1, tzinfo=dt.UTC).timestamp()) * 1000
_STEPS = (1, 2, 7, 14)  # days; longer ones are months
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 600, 1200, 2400, 12_000)


def amounts(highest: int, most: int = 4) -> list[int]:
    """Return nice amounts from 0 up to at least `highest`, at most `most` steps."""
    step = next(each for each in _nice() if highest <= most * each)
    return list(range(0, max(-(-highest // step), 1) * step + 1, step))


def days_between(since_ms: int, until_ms: int, most: int = 7) -> list[tuple[int, str]]:
    """Return the ticks of a time, at most `most`, each with the skeleton (CLDR) of its label."""
    since, until = _date(since_ms), _date(until_ms)
    length = (until - since).days
    for step in _STEPS:
        if length <= most * step:
            begin = since + dt.timedelta(days=-since.weekday() % 7 if step >= 7 else 0)
            return list(_ticks(_each_day(begin, until, step), since_ms, until_ms, "MMMd"))
    months = next(each for each in _MONTHS if length <= most * each * 28 or each == _MONTHS[-1])
    skeleton = "MMMd" if months < 3 else "yMMM" if months < 12 else "y"
    return list(_ticks(_each_month(since, until, months), since_ms, until_ms, skeleton))


def day_name(at_ms: int, words: DrawingWords, skeleton: str = "yMMMd") -> str:
    """Write a day as the language writes it."""
    return _written(_date(at_ms), words.locale, skeleton)


@lru_cache(maxsize=4_096)
def _written(day: dt.date, locale: Locale, skeleton: str) -> str:
    return format_skeleton(skeleton, day, locale=locale)


def time_axis(since_ms: int, until_ms: int, height: float, words: DrawingWords) -> list[Markup]:
    """Draw the ticks of a time below a drawing of this height, with lines up through it."""
    drawn: list[Markup] = []
    for at_ms, skeleton in days_between(since_ms, until_ms):
        x = share(at_ms - since_ms, until_ms - since_ms)
        drawn.append(tag("line", x1=x, x2=x, y1=0, y2=height, class_="grid", stroke="currentColor"))
        drawn.append(words_at(x, height + 16, day_name(at_ms, words, skeleton), "middle"))
    return drawn


def span_of(since_ms: int, until_ms: int) -> tuple[int, int]:
    """Return a time that has a length and is on the calendar."""
    since_ms = min(max(since_ms, 0), _LAST_MS - DAY_MS)
    return since_ms, min(max(until_ms, since_ms + 1), _LAST_MS)


def _nice() -> Iterator[int]:
    return (base * 10**power for power in count() for base in (1, 2, 5))


def _date(at_ms: int) -> dt.date:
    return dt.datetime.fromtimestamp(min(max(at_ms, 0), _LAST_MS) / 1000, dt.UTC).date()


def _each_day(day: dt.date, until: dt.date, step: int) -> Iterator[dt.date]:
    while day <= until:
        yield day
        day += dt.timedelta(days=step)


def _each_month(since: dt.date, until: dt.date, step: int) -> Iterator[dt.date]:
    month = since.year * 12 + since.month - 1
    month += -month % step
    while (day := _first_of(month)) and day <= until:
        yield day
        month += step


def _first_of(month: int) -> dt.date | None:
    return dt.date(month // 12, month % 12 + 1, 1) if month < 10_000 * 12 else None


def _ticks(days: Iterator[dt.date], since_ms: int, until_ms: int, skeleton: str) -> Iterator[tuple[int, str]]:
    for day in days:
        at_ms = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)
        if since_ms <= at_ms <= until_ms:
            yield at_ms, skeleton
