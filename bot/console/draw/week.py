"""The hours of a week with the number of people on duty; hours with nobody have stripes and a 0, not just a colour."""

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import get_day_names
from markupsafe import Markup

from .svg import DrawingWords, Numbers, drawing, hatched, rect, share, words_at

HOURS = 24
ROW, GAP = 26, 4

Run = tuple[int, int, int]  # first hour, the hour after the last, people on duty


def week_begin(now_ms: int, zone: str) -> int:
    """Return when this week began in a time zone: on Monday at 0:00."""
    today = dt.datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()
    begin = dt.datetime.combine(today - dt.timedelta(days=today.weekday()), dt.time(), ZoneInfo(zone))
    return int(begin.timestamp() * 1000)


def draw_week(hours: Sequence[int], title: str, words: DrawingWords, name: str = "week") -> Markup:
    """Draw a week of 168 hours from Monday at 0:00 on, each with the number of people on duty."""
    days = [list(_runs(hours[day * HOURS : (day + 1) * HOURS])) for day in range(7)]
    names = _day_names(words)
    return drawing(
        name,
        title,
        _sentence(days, words),
        _numbers(days, words),
        words,
        hatched(f"{name}-stripes"),
        *(part for day, runs in enumerate(days) for part in _day(names[day], runs, day * ROW, name)),
        *(words_at(share(hour, HOURS), 7 * ROW + 16, f"{hour}:00", "middle") for hour in range(0, HOURS + 1, 6)),
        height=7 * ROW,
    )


def _runs(day: Sequence[int]) -> Iterator[Run]:
    """Yield the hours of a day in runs of as many people; hours that are not given have nobody."""
    whole = [*(max(count, 0) for count in day), *([0] * (HOURS - len(day)))]
    hour = 0
    for count, together in groupby(whole):
        length = len(list(together))
        yield hour, hour + length, count
        hour += length


def _day(day: str, runs: Sequence[Run], top: int, name: str) -> Iterator[Markup]:
    yield words_at(-6, top + 16, day, "end")
    for first, after, count in runs:
        kind = f"duty duty-{count}" if count in (1, 2) else "duty" if count else "gap"
        stripes = "" if count else f"{name}-stripes"
        yield rect(share(first, HOURS), top, share(after - first, HOURS), ROW - GAP, kind, stripes=stripes)
        middle = share((first + after) / 2, HOURS)
        yield words_at(middle, top + 16, _short(count), "middle", "on-duty" if count > 2 else "count-of")


def _short(count: int) -> str:
    return str(count) if count < 100 else "99+"


def _day_names(words: DrawingWords, width: Literal["abbreviated", "wide"] = "abbreviated") -> dict[int, str]:
    return dict(get_day_names(width, context="stand-alone", locale=words.locale))


def _sentence(days: Sequence[Sequence[Run]], words: DrawingWords) -> str:
    without = sum(after - first for runs in days for first, after, count in runs if not count)
    if not without:
        return words.text("console.draw.week.always")
    return words.text("console.draw.week.without", count=without)


def _numbers(days: Sequence[Sequence[Run]], words: DrawingWords) -> Numbers:
    columns = words.columns("weekday", "from", "to", "people")
    names = _day_names(words, "wide")
    rows = [
        (names[day], _clock(first), _clock(after), count)
        for day, runs in enumerate(days)
        for first, after, count in runs
    ]
    return Numbers(columns, rows)


def _clock(hour: int) -> str:
    return f"{dt.time(hour):%H:%M}" if hour < HOURS else "24:00"
