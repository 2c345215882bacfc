"""Weekly hours: how they are written and stored, and when somebody is on duty by them."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.duty.hours import DAYS, covers, intervals, next_start, parse_hours, parse_zone
from moderation.values.errors import Refused

BERLIN = "Europe/Berlin"
OFFICE = f"mon-fri 08:00-18:00, sat 10:00-12:00 {BERLIN}"
HOUR = 3_600_000


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    """Return the time (ms) of a local date and time, such as ``2026-11-24 09:12``."""
    local = dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp()) * 1000


def utc(text: str) -> int:
    return at(text, "UTC")


def refused(text: str) -> tuple[str, object]:
    with pytest.raises(Refused) as caught:
        parse_hours(text, "UTC")
    return caught.value.key, caught.value.fields["given"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (OFFICE, OFFICE),
        ("mon-fri 08:00-18:00", f"mon-fri 08:00-18:00 {BERLIN}"),
        ("daily 22:00-06:00 UTC", "daily 22:00-06:00 UTC"),
        ("mon-sun 00:00-24:00 UTC", "daily 00:00-24:00 UTC"),
        ("tue-mon 8-18", f"daily 08:00-18:00 {BERLIN}"),
        ("08:00-18:00", f"daily 08:00-18:00 {BERLIN}"),
        ("fri-mon 9:30-12 UTC", "fri-mon 09:30-12:00 UTC"),
        ("Mon, wed,FRI 08:00-12:00", f"mon, wed, fri 08:00-12:00 {BERLIN}"),
        ("mon-fri 08:00-12:00, 13:00-17:00", f"mon-fri 08:00-12:00, 13:00-17:00 {BERLIN}"),
        ("sun 10-11, sat 10-11, mon 9-10", f"mon 09:00-10:00, sat-sun 10:00-11:00 {BERLIN}"),
        ("Monday - Friday 8:00 - 18:00 europe/berlin", f"mon-fri 08:00-18:00 {BERLIN}"),
        ("mon–fri 08:00–18:00 Etc/GMT-1", "mon-fri 08:00-18:00 Etc/GMT-1"),
        ("周一至五 08：00至18：00，周六、周日 10:00-12:00 Asia/Shanghai", None),
        ("每天 22:00-06:00", f"daily 22:00-06:00 {BERLIN}"),
        ("星期天 10:00-12:00", f"sun 10:00-12:00 {BERLIN}"),
    ],
)
def test_hours_are_kept_in_one_spelling_always_with_their_zone(typed: str, kept: str | None) -> None:
    assert parse_hours(typed, BERLIN) == (kept or "mon-fri 08:00-18:00, sat-sun 10:00-12:00 Asia/Shanghai")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "mon",
        "mon-fri",
        "mon-fri, 08:00",
        "someday 08:00-18:00",
        "mon-fir 08:00-18:00",
        "mon 25:00-26:00",
        "mon 08:60-09:00",
        "mon 24:00-08:00",
        "mon 24:01-08:00",
        "mon 08:00-08:00",
        "mon 08:00-18:00 Europe/Berlin tue",
        "mon 08:00-09:00 ../../etc/passwd",
        "mon ٠٨:٠٠-١٨:٠٠",
        "Europe/Berlin",
    ],
)
def test_invalid_hours_are_refused_and_named(typed: str) -> None:
    assert refused(typed) == ("error.hours.form", typed)


def test_a_long_text_is_named_by_its_beginning() -> None:
    assert refused("x " * 300) == ("error.hours.form", ("x " * 300)[:80])


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Berlin", "CEST", "Europe", "localtime"])
def test_a_zone_nobody_knows_is_refused_and_named(zone: str) -> None:
    assert refused(f"mon 08:00-18:00 {zone}") == ("error.hours.zone", zone)


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ("2026-11-24 07:59:59", False),  # a Tuesday
        ("2026-11-24 08:00", True),
        ("2026-11-24 17:59:59", True),
        ("2026-11-24 18:00", False),
        ("2026-11-28 09:00", False),  # the Saturday
        ("2026-11-28 10:00", True),
        ("2026-11-28 12:00", False),
        ("2026-11-29 10:00", False),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(when: str, inside: bool) -> None:
    assert covers(OFFICE, at(when)) is inside


def test_a_span_past_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = f"fri 22:00-06:00 {BERLIN}"
    times = ("2026-11-26 23:00", "2026-11-27 21:59", "2026-11-27 22:00", "2026-11-28 05:59", "2026-11-28 06:00")
    assert [covers(night, at(when)) for when in times] == [False, False, True, True, False]
    assert not covers(night, at("2026-11-28 22:00"))


def test_hours_follow_the_wall_clock_in_summer_and_winter() -> None:
    assert (covers(OFFICE, utc("2026-07-14 06:30")), covers(OFFICE, utc("2026-11-24 06:30"))) == (True, False)
    assert (covers(OFFICE, utc("2026-07-14 16:30")), covers(OFFICE, utc("2026-11-24 16:30"))) == (False, True)


class TestTheNightThatLacksAnHour:
    """The night of 29 March 2026 in Berlin: at 02:00 the clock is set to 03:00, which is 01:00 UTC."""

    def test_a_shift_is_an_hour_shorter(self) -> None:
        assert list(intervals(f"sat 22:00-06:00 {BERLIN}", utc("2026-03-28 12:00"), utc("2026-03-29 12:00"))) == [
            (utc("2026-03-28 21:00"), utc("2026-03-29 04:00"))
        ]

    def test_shifts_that_meet_in_the_hour_that_is_not_leave_no_hole(self) -> None:
        early, late = f"daily 22:00-02:30 {BERLIN}", f"daily 02:30-10:00 {BERLIN}"
        for minute in range(0, 12 * 60, 5):
            now = utc("2026-03-28 21:00") + minute * 60_000
            assert (covers(early, now), covers(late, now)) in ((True, False), (False, True)) or minute >= 11 * 60

    def test_hours_that_are_not_there_that_night_do_not_begin(self) -> None:
        assert next_start(f"daily 02:00-03:00 {BERLIN}", utc("2026-03-28 12:00")) == at("2026-03-30 02:00")
        assert next_start(f"sun 02:00-03:00 {BERLIN}", utc("2026-03-28 12:00")) == at("2026-04-05 02:00")


class TestTheNightThatHasAnHourTwice:
    """The night of 25 October 2026 in Berlin: at 03:00 the clock is set back to 02:00, which is 01:00 UTC."""

    def test_a_shift_is_an_hour_longer(self) -> None:
        assert list(intervals(f"sat 22:00-06:00 {BERLIN}", utc("2026-10-24 12:00"), utc("2026-10-25 12:00"))) == [
            (utc("2026-10-24 20:00"), utc("2026-10-25 05:00"))
        ]

    def test_a_shift_ends_the_first_time_and_the_next_one_begins_then(self) -> None:
        early, late = f"daily 22:00-02:30 {BERLIN}", f"daily 02:30-10:00 {BERLIN}"
        first, second = at("2026-10-25 02:15"), at("2026-10-25 02:15", fold=1)
        assert second - first == HOUR
        assert [(covers(early, now), covers(late, now)) for now in (first, second)] == [(True, False), (False, True)]


def test_the_next_start_is_after_the_present_one() -> None:
    assert next_start(OFFICE, at("2026-11-27 12:00")) == at("2026-11-28 10:00")
    assert next_start(OFFICE, at("2026-11-28 10:00")) == at("2026-11-30 08:00")


def test_hours_that_never_pause_never_begin() -> None:
    always = (
        f"daily 00:00-24:00 {BERLIN}",
        f"daily 22:00-06:00, 06:00-22:00 {BERLIN}",
        "daily 12:00-11:00, 10:00-13:00 UTC",
    )
    assert [next_start(hours, at("2026-10-24 12:00")) for hours in always] == [None, None, None]
    assert all(covers(hours, utc("2026-10-24 12:00") + n * 7 * 60_000) for hours in always for n in range(300))


# What holds of any hours.

minutes = st.integers(0, 24 * 60 - 1)
day_sets = st.frozensets(st.sampled_from(DAYS), min_size=1)
zones = st.sampled_from(["UTC", BERLIN, "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
moments = st.integers(utc("2026-01-01"), utc("2031-01-01"))


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def hours_texts(draw: st.DrawFn) -> str:
    spans = draw(st.lists(st.tuples(day_sets, minutes, minutes), min_size=1, max_size=4))
    written = [f"{', '.join(sorted(days))} {clock(a)}-{clock(b if b != a else 24 * 60)}" for days, a, b in spans]
    return f"{', '.join(written)} {draw(zones)}"


@given(hours_texts())
def test_stored_hours_read_back_unchanged(text: str) -> None:
    kept = parse_hours(text, "UTC")
    assert parse_hours(kept, "America/New_York") == kept


@given(hours_texts(), moments)
def test_stored_hours_cover_the_same_times_as_written(text: str, now: int) -> None:
    window = (now, now + 8 * 24 * HOUR)
    assert list(intervals(parse_hours(text, "UTC"), *window)) == list(intervals(text, *window))


@given(hours_texts(), moments)
def test_hours_begin_exactly_at_their_start(text: str, now: int) -> None:
    hours = parse_hours(text, "UTC")
    start = next_start(hours, now)
    if start is None:
        assert covers(hours, now)
        return
    assert start > now
    assert covers(hours, start) and not covers(hours, start - 1)
    # Between now and then it only ends, if it held at all.
    steps = [covers(hours, now + (start - now) * n // 50) for n in range(50)]
    assert steps == sorted(steps, reverse=True)


@given(st.text(max_size=60))
def test_any_text_is_hours_or_is_refused(text: str) -> None:
    try:
        kept = parse_hours(text, "UTC")
    except Refused as refusal:
        assert refusal.key in ("error.hours.form", "error.hours.zone")
    else:
        assert parse_hours(kept, "UTC") == kept


@given(st.text(max_size=40))
def test_any_text_is_a_zone_or_is_refused(text: str) -> None:
    try:
        assert parse_zone(text).casefold() == text.casefold()
    except Refused as refusal:
        assert refusal.key == "error.hours.zone"
