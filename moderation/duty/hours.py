"""Weekly hours, as people write them: `mon-fri 08:00-18:00, sat 10:00-12:00 Europe/Berlin`.

Rules kept here:
- Whatever was typed, one canonical text is kept, always with its time zone.
- Hours are local clock hours, so they move with daylight saving.
- A time that a night does not have, or has twice, is read as RFC 5545 (3.3.5) says: by the offset before the gap, and
  as the first of the two. So a span that ends when the next begins leaves no hole, in no night.
- If only days or only hours change, the other need not be repeated.

Left to others: who is on duty when (`duty.py`), who may write a roster (`responsibility.py`).
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo, available_timezones

from moderation.values.errors import Refused

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UTC = "UTC"
MAX_GIVEN = 80  # characters of the input that an answer quotes
_WEEK = frozenset(range(7))
_WHOLE_DAY = 24 * 60
_NO_PLACE = frozenset({"localtime", "posixrules", "Factory"})  # entries that some machines have besides the zones
_AHEAD_DAYS = 15  # a weekly span may fall into the gap of one night; then the next week has it

_LONG = {"monday": 0, "tuesday": 1, "tues": 1, "wednesday": 2, "thursday": 3, "thur": 3, "thurs": 3}
_LONG |= {"friday": 4, "saturday": 5, "sunday": 6}
_WEEKS = ("周", "星期", "礼拜", "")  # "周一至五" has it only once
_CHINESE = {f"{week}{day}": n for week in _WEEKS for n, day in enumerate("一二三四五六日")}
_CHINESE |= {f"{week}天": 6 for week in _WEEKS[:-1]}
_DAY = {name: n for n, name in enumerate(DAYS)} | _LONG | _CHINESE
_EVERY = ("daily", "每天", "每日")
_SIGNS = str.maketrans({"，": ",", "、": ",", "；": ",", ";": ",", "：": ":", "–": "-", "—": "-", "至": "-", "到": "-"})

_SPAN = re.compile(r"(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?\Z", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*\Z")


@dataclass(frozen=True, slots=True)
class _Span:
    """Some hours on some days, in minutes of the day; an `end` up to `start` is on the next day."""

    days: frozenset[int]
    start: int
    end: int


def parse_hours(text: str, default_zone: str) -> str:
    """Return the canonical text of hours that somebody wrote.

    Raises `Refused` if the form or the zone is not known.
    """
    words = text.translate(_SIGNS).split()
    zone = words.pop() if words and _is_zone(words[-1]) else default_zone
    spans = _spans(" ".join(words).lower())
    if not spans:
        raise Refused("error.hours.form", given=text[:MAX_GIVEN])
    return f"{_written(spans)} {parse_zone(zone)}"


def parse_zone(name: str) -> str:
    """Return a time zone in its correct spelling, ignoring case. Raises `Refused` if it is not known."""
    known = zones().get(name.casefold())
    if known is None:
        raise Refused("error.hours.zone", given=name[:MAX_GIVEN])
    return known


@lru_cache(maxsize=1)
def zones() -> Mapping[str, str]:
    """Return every zone by its name in small letters."""
    return {name.casefold(): name for name in available_timezones() - _NO_PLACE}


def covers(hours: str, now_ms: int) -> bool:
    """Return whether `now_ms` is within the hours. `hours` is a canonical text."""
    return any(start <= now_ms < end for start, end in intervals(hours, now_ms, now_ms + 1))


def next_start(hours: str, now_ms: int) -> int | None:
    """Return when, after `now_ms`, the hours begin next; None for hours that never pause."""
    coming = intervals(hours, now_ms, now_ms + _AHEAD_DAYS * 86_400_000)
    return next((start for start, _ in coming if start > now_ms), None)


def intervals(hours: str, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the times within the hours that touch [since, until), in order; times without a pause are merged.

    Ends more than a day outside are not exact.
    """
    zone, spans = _read(hours)
    since, until = _date(since_ms, zone), _date(until_ms, zone)
    days = (since + dt.timedelta(days=n) for n in range(-2, (until - since).days + 3))
    found = sorted(_on(day, span, zone) for day in days for span in spans if day.weekday() in span.days)
    for start, end in _joined(found):
        if end > since_ms and start < until_ms:
            yield start, end


# Reading.


def _is_zone(word: str) -> bool:
    """Return whether the last word is meant as a zone: it begins like one, and is no day or range of days."""
    return _ZONE.match(word) is not None and _days(word.lower()) is None


def _spans(text: str) -> tuple[_Span, ...]:
    """Return the spans of a text in lower case; empty if it has another form."""
    found: list[_Span] = []
    days: frozenset[int] = frozenset()
    waiting = False  # days were named, but not yet their hours
    for piece in text.split(","):
        for word in re.sub(r"\s*-\s*", "-", piece.strip()).split():
            if (hours := _hours(word)) is not None:
                found.append(_Span(days or _WEEK, *hours))
                waiting = False
            elif (more := _days(word)) is not None:
                days, waiting = (days | more if waiting else more), True
            else:
                return ()
    return () if waiting else tuple(found)


def _days(word: str) -> frozenset[int] | None:
    if word in _EVERY:
        return _WEEK
    first, dash, last = word.partition("-")
    if first not in _DAY or (dash and last not in _DAY):
        return None
    start, length = _DAY[first], (_DAY[last or first] - _DAY[first]) % 7
    return frozenset((start + n) % 7 for n in range(length + 1))


def _hours(word: str) -> tuple[int, int] | None:
    found = _SPAN.match(word)
    if not found:
        return None
    start, end = _minutes(found[1], found[2]), _minutes(found[3], found[4])
    if start is None or end is None or start in (end, _WHOLE_DAY):
        return None
    return start, end


def _minutes(hour: str, minute: str | None) -> int | None:
    minutes = int(hour) * 60 + int(minute or 0)
    return minutes if int(minute or 0) < 60 and minutes <= _WHOLE_DAY else None


@lru_cache(maxsize=4096)
def _read(hours: str) -> tuple[ZoneInfo, tuple[_Span, ...]]:
    """Return the parts of a canonical text."""
    text, _, zone = hours.rpartition(" ")
    return ZoneInfo(zone), _spans(text)


# Writing.


def _written(spans: tuple[_Span, ...]) -> str:
    """Write spans, merging those with the same hours by days; unchanged days are not repeated."""
    same: dict[tuple[int, int], frozenset[int]] = {}
    for span in spans:
        hours = (span.start, span.end)
        same[hours] = same.get(hours, frozenset()) | span.days
    ordered = sorted((sorted(days), hours) for hours, days in same.items())
    written = []
    for days, together in groupby(ordered, key=lambda each: each[0]):
        clocks = ", ".join(f"{_clock(start)}-{_clock(end)}" for _, (start, end) in together)
        written.append(f"{_named(frozenset(days))} {clocks}")
    return ", ".join(written)


def _named(days: frozenset[int]) -> str:
    if days == _WEEK:
        return "daily"
    begins = [day for day in sorted(days) if (day - 1) % 7 not in days]
    return ", ".join(_range(day, days) for day in begins)


def _range(first: int, days: frozenset[int]) -> str:
    last = first
    while (last + 1) % 7 in days:
        last = (last + 1) % 7
    return DAYS[first] if first == last else f"{DAYS[first]}-{DAYS[last]}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


# The calendar.


def _date(ms: int, zone: ZoneInfo) -> dt.date:
    return dt.datetime.fromtimestamp(ms / 1000, zone).date()


def _on(day: dt.date, span: _Span, zone: ZoneInfo) -> tuple[int, int]:
    later = 1 if span.end <= span.start else 0
    return _instant(day, span.start, zone), _instant(day + dt.timedelta(days=later), span.end, zone)


def _instant(day: dt.date, minutes: int, zone: ZoneInfo) -> int:
    """Return the moment at which the local clock shows these minutes, in milliseconds. `fold` 0: RFC 5545."""
    local = dt.datetime.combine(day, dt.time()) + dt.timedelta(minutes=minutes)
    return int(local.replace(tzinfo=zone).timestamp()) * 1000


def _joined(found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Merge sorted times that touch; times that a night reduced to nothing are left out."""
    begun: tuple[int, int] | None = None
    for start, end in found:
        if start >= end:
            continue
        if begun is None or start > begun[1]:
            if begun is not None:
                yield begun
            begun = (start, end)
        else:
            begun = (begun[0], max(begun[1], end))
    if begun is not None:
        yield begun
