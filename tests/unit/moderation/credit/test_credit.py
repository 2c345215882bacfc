"""The credit model of docs/model.md, by example and by property."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.credit import credit
from moderation.credit.credit import Price, Tier
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import GRADES, CreditSettings, Grade, TierSettings
from moderation.values.durations import DAY_MS
from moderation.values.ids import PersonId

DEFAULT = CreditSettings()
# Small numbers, so that a scan over all times is possible and every boundary is met often.
SMALL = CreditSettings(
    start=20,
    ceiling=20,
    repeat_within=40,
    incident_limit=15,
    incident_window=5,
    quiet_before_recovery=7,
    recover_every=3,
    expires_after=60,
)
RULES = ("spam", "links")


def charge(number: int, at_ms: int, cost: int, rule: str = "spam") -> LedgerEntry:
    return LedgerEntry(number, PersonId("@a:x.org"), at_ms, "charge", cost, "moderate", rule, None, None)


def warning(number: int, at_ms: int, rule: str = "spam") -> LedgerEntry:
    return LedgerEntry(number, PersonId("@a:x.org"), at_ms, "warning", 0, "minor", rule, None, None)


def compensation(number: int, at_ms: int, undoes: int) -> LedgerEntry:
    return LedgerEntry(number, PersonId("@a:x.org"), at_ms, "compensation", 0, None, "spam", None, None, undoes)


times = st.integers(0, 100)


@st.composite
def ledgers(draw: st.DrawFn, most: int = 6) -> list[LedgerEntry]:
    """Return charges and warnings at small times, numbered in order of writing; the clock may step back in between."""
    moments = draw(st.lists(times, max_size=most))
    return [
        charge(number, at, draw(st.integers(0, 25)), draw(st.sampled_from(RULES)))
        if draw(st.booleans())
        else warning(number, at, draw(st.sampled_from(RULES)))
        for number, at in enumerate(moments)
    ]


def price(
    entries: Iterable[LedgerEntry], grade: Grade, now_ms: int, settings: CreditSettings = DEFAULT, rule: str = "spam"
) -> Price:
    return credit.price(entries, rule=rule, grade=grade, now_ms=now_ms, settings=settings)


# The balance.


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, 90), (7, 90), (9.99, 90), (10, 91), (12.99, 91), (13, 92), (37, 100), (100, 100)],
)
def test_points_come_back_one_every_three_days_after_seven_quiet_days(days: float, expected: int) -> None:
    assert credit.balance([charge(1, 0, 10)], int(days * DAY_MS), DEFAULT) == expected


def test_a_new_charge_starts_the_quiet_time_again() -> None:
    entries = [charge(1, 0, 50), charge(2, 9 * DAY_MS, 10)]
    assert credit.balance(entries, 18 * DAY_MS, DEFAULT) == 40
    assert credit.balance(entries, 19 * DAY_MS, DEFAULT) == 41


def test_a_warning_costs_nothing_and_does_not_disturb_recovery() -> None:
    assert credit.balance([charge(1, 0, 10), warning(2, 9 * DAY_MS)], 10 * DAY_MS, DEFAULT) == 91


def test_credit_does_not_fall_below_nothing_nor_owe() -> None:
    entries = [charge(1, 0, 60), charge(2, 1, 60)]
    assert credit.balance(entries, 2, DEFAULT) == 0
    assert credit.balance(entries, 1 + 10 * DAY_MS, DEFAULT) == 1


def test_an_entry_has_no_effect_from_its_expiry_on() -> None:
    entries = [charge(1, 0, 60), charge(2, 180 * DAY_MS, 60)]
    last = DEFAULT.expires_after - 1
    assert credit.balance(entries, last, DEFAULT) == 37  # 40, back to 97 by the second charge
    assert credit.effective(entries, last, DEFAULT) == tuple(entries)
    assert credit.effective(entries, last + 1, DEFAULT) == (entries[1],)
    assert credit.balance(entries, last + 1, DEFAULT) == 40


def test_recorded_entries_count_whatever_their_date() -> None:
    entries = [charge(1, 0, 10), charge(2, 10, 10), compensation(3, 20, 1)]
    assert [credit.balance(entries, now, DEFAULT) for now in (-1, 0, 10, 20)] == [90, 90, 90, 90]
    assert [credit.balance(credit.up_to(entries, record), 5, DEFAULT) for record in range(4)] == [100, 90, 80, 90]


def test_recovery_goes_on_from_now_where_the_clock_was_set_back() -> None:
    entries = [charge(1, 40 * DAY_MS, 10), charge(2, 0, 20)]
    days = (0, 10, 40, 49, 50)
    assert [credit.balance(entries, day * DAY_MS, DEFAULT) for day in days] == [70, 71, 81, 81, 82]


def test_recovery_does_not_lift_anybody_above_the_start() -> None:
    settings = SMALL.model_copy(update={"start": 10})
    assert credit.balance([charge(1, 0, 5)], 59, settings) == 10


def test_a_compensation_that_is_undone_undoes_nothing() -> None:
    entries = [charge(1, 0, 10), compensation(2, 1, 1), compensation(3, 2, 2)]
    found = [credit.balance(credit.up_to(entries, record), 2, DEFAULT) for record in (1, 2, 3)]
    assert found == [90, 100, 90]


def test_entries_of_one_moment_count_in_the_order_of_writing() -> None:
    entries = [charge(1, 0, 10), compensation(2, 0, 1), compensation(3, 0, 2)]
    assert credit.balance(entries, 0, DEFAULT) == credit.balance(entries[::-1], 0, DEFAULT) == 90


@given(ledgers(), times)
def test_the_balance_is_never_outside_its_bounds(entries: list[LedgerEntry], now: int) -> None:
    assert 0 <= credit.balance(entries, now, SMALL) <= SMALL.ceiling


@given(ledgers(), times)
def test_the_balance_agrees_with_a_ledger_kept_day_by_day(entries: list[LedgerEntry], now: int) -> None:
    assert credit.balance(entries, now, SMALL) == _kept_by_hand(entries, now)


def _kept_by_hand(entries: list[LedgerEntry], now: int) -> int:
    """Compute the same model tick by tick, as docs/model.md describes it."""
    counting = [entry for entry in entries if entry.entry == "charge" and now < entry.at_ms + 60]
    points, quiet = 20, None
    for tick in range(now + 1):
        quiet = None if quiet is None else quiet + 1
        if quiet is not None and quiet > 7 and (quiet - 7) % 3 == 0:
            points = min(20, points + 1)
        for entry in counting:
            if min(entry.at_ms, now) == tick:
                points, quiet = max(0, points - entry.cost), 0
    return points


@given(ledgers(), times, st.data())
def test_the_order_of_the_entries_does_not_matter(entries: list[LedgerEntry], now: int, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(entries))
    assert credit.balance(shuffled, now, SMALL) == credit.balance(entries, now, SMALL)
    assert credit.effective(shuffled, now, SMALL) == credit.effective(entries, now, SMALL)
    assert price(shuffled, "minor", now, SMALL) == price(entries, "minor", now, SMALL)
    assert credit.reaches(shuffled, 15, now, SMALL) == credit.reaches(entries, 15, now, SMALL)


@given(ledgers(), st.data(), st.integers(100, 150), st.integers(0, 21))
def test_a_compensated_charge_has_no_effect(
    entries: list[LedgerEntry], data: st.DataObject, now: int, level: int
) -> None:
    undone = data.draw(st.sets(st.integers(0, len(entries))))
    made = [*entries, *(compensation(100 + number, 100, number) for number in undone)]
    without = [entry for entry in entries if entry.id not in undone]
    assert credit.balance(made, now, SMALL) == credit.balance(without, now, SMALL)
    assert price(made, "minor", now, SMALL) == price(without, "minor", now, SMALL)
    assert credit.reaches(made, level, now, SMALL) == credit.reaches(without, level, now, SMALL)


@given(ledgers(), times, st.integers(0, 25), st.integers(0, 200))
def test_one_charge_more_never_gives_more_credit(entries: list[LedgerEntry], at: int, cost: int, now: int) -> None:
    more = [*entries, charge(1000, at, cost)]
    assert credit.balance(more, now, SMALL) <= credit.balance(entries, now, SMALL)


@given(ledgers(), st.integers(0, 10), st.integers(0, 25), st.integers(0, 200))
def test_a_dearer_charge_never_leaves_more_credit(entries: list[LedgerEntry], which: int, cost: int, now: int) -> None:
    dearer = [replace(entry, cost=entry.cost + cost) if entry.id == which else entry for entry in entries]
    assert credit.balance(dearer, now, SMALL) <= credit.balance(entries, now, SMALL)


@given(ledgers(), st.integers(0, 250))
def test_without_new_charges_credit_does_not_fall(entries: list[LedgerEntry], now: int) -> None:
    assert credit.balance(entries, now, SMALL) <= credit.balance(entries, now + 1, SMALL)


# Its course.


@st.composite
def histories(draw: st.DrawFn) -> list[LedgerEntry]:
    """Return a ledger in which some entries undo others, sometimes what undid one."""
    made = draw(ledgers(8))
    for number in range(100, 100 + draw(st.integers(0, 3))):
        made.append(compensation(number, draw(times), draw(st.sampled_from([each.id for each in made] or [0]))))
    return made


@given(
    histories(),
    st.integers(-10, 110),
    st.integers(0, 200),
    st.sampled_from([SMALL, SMALL.model_copy(update={"start": 10})]),
)
def test_the_course_is_the_balance_at_every_moment(
    entries: list[LedgerEntry], since: int, length: int, settings: CreditSettings
) -> None:
    steps = credit.course(entries, since, since + length, settings)
    said = dict(steps)
    points = said[since]
    for now in range(since, since + length + 1):
        points = said.get(now, points)
        assert points == credit.balance([each for each in entries if each.at_ms <= now], now, settings)
    assert [at for at, _ in steps] == sorted(said)
    assert all(one != other for (_, one), (_, other) in pairwise(steps))  # nothing but changes


def test_the_course_tells_losses_returns_and_what_is_to_come() -> None:
    entries = [charge(1, 10 * DAY_MS, 3), charge(2, 40 * DAY_MS, 10), compensation(3, 41 * DAY_MS, 2)]
    found = credit.course(entries, 0, 60 * DAY_MS, DEFAULT)
    assert [(at // DAY_MS, points) for at, points in found] == [
        (0, 100), (10, 97), (20, 98), (23, 99), (26, 100), (40, 90), (41, 100)
    ]  # fmt: skip


# The price.


@pytest.mark.parametrize(
    ("grade", "prices"),
    [
        ("minor", [0, 8, 10, 10]),  # 7.5 is rounded up
        ("moderate", [10, 15, 20, 20]),
        ("serious", [25, 38, 50, 50]),
        ("severe", [50, 60, 60, 60]),  # never more than 60 for one incident
    ],
)
def test_the_same_rule_again_costs_one_and_a_half_times_then_double(grade: Grade, prices: list[int]) -> None:
    entries: list[LedgerEntry] = []
    for number, expected in enumerate(prices):
        now = number * DAY_MS
        asked = price(entries, grade, now)
        assert (asked.cost, asked.nth) == (expected, number + 1)
        made = charge(number, now, asked.cost)
        entries.append(replace(made, entry=asked.entry))
    assert entries[0].entry == ("warning" if grade == "minor" else "charge")


def test_the_first_minor_offence_is_charged_where_the_settings_say_so() -> None:
    settings = CreditSettings(first_minor_is_warning=False)
    assert price([], "minor", 0, settings) == Price("charge", 5, 1)


def test_another_rule_or_a_long_time_resets_the_price() -> None:
    entries = [warning(1, 0)]
    assert price(entries, "minor", DAY_MS, rule="links") == Price("warning", 0, 1)
    assert price(entries, "minor", 90 * DAY_MS - 1) == Price("charge", 8, 2)
    assert price(entries, "minor", 90 * DAY_MS) == Price("warning", 0, 1)


def test_an_expired_charge_still_uses_up_the_first_time() -> None:
    settings = CreditSettings(repeat_within=365 * DAY_MS)
    assert price([warning(1, 0)], "minor", 183 * DAY_MS, settings) == Price("warning", 0, 1)


def test_one_incident_costs_no_more_than_its_limit_in_several_parts() -> None:
    entries = [charge(1, 0, 50)]
    assert price(entries, "severe", 10 * 60_000 - 1) == Price("charge", 10, 2)
    assert price(entries, "severe", 10 * 60_000) == Price("charge", 60, 2)
    assert price([*entries, charge(2, 1, 10)], "severe", 2) == Price("charge", 0, 3)


@given(ledgers(), st.sampled_from(GRADES), st.sampled_from(RULES), times)
def test_a_price_is_never_negative_and_only_warnings_are_free_of_the_limit(
    entries: list[LedgerEntry], grade: Grade, rule: str, now: int
) -> None:
    asked = price(entries, grade, now, SMALL, rule)
    assert 0 <= asked.cost <= SMALL.incident_limit
    assert asked.nth >= 1
    assert (asked.entry == "warning") == (grade == "minor" and asked.nth == 1)


# Tiers.


@pytest.mark.parametrize(
    ("points", "expected"),
    [(100, "A"), (80, "A"), (79, "B"), (60, "B"), (59, "C"), (40, "C"), (39, "D"), (20, "D"), (19, "E"), (0, "E")],
)
def test_each_bound_belongs_to_the_tier_above(points: int, expected: Tier) -> None:
    assert credit.tier(points, TierSettings()) == expected


# When credit is back.


def test_credit_is_back_by_recovery() -> None:
    entries = [charge(1, 0, 60), charge(2, 1, 10)]
    assert credit.reaches(entries, 40, 5, DEFAULT) == 1 + (7 + 10 * 3) * DAY_MS


def test_credit_is_back_by_expiry_where_that_is_sooner() -> None:
    entries = [charge(1, 0, 60), charge(2, 178 * DAY_MS, 60)]
    assert credit.reaches(entries, 40, 179 * DAY_MS, DEFAULT) == 183 * DAY_MS
    assert credit.reaches(entries, 41, 179 * DAY_MS, DEFAULT) == (178 + 7 + 3) * DAY_MS


def test_credit_that_is_there_is_there_now_and_too_much_is_never() -> None:
    assert credit.reaches([], 100, 5, DEFAULT) == 5
    assert credit.reaches([], 101, 5, DEFAULT) is None
    assert credit.reaches([charge(1, 0, 60)], -3, 5, DEFAULT) == 5


@given(ledgers(), st.integers(0, 21), times)
def test_reaches_agrees_with_looking_at_every_moment(entries: list[LedgerEntry], level: int, now: int) -> None:
    later = range(now, 100 + SMALL.expires_after + 1)
    found = next((at for at in later if credit.balance(entries, at, SMALL) >= level), None)
    assert credit.reaches(entries, level, now, SMALL) == found
