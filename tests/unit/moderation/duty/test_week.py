"""The calendar of a week: how many people are on duty at each hour."""

from hypothesis import given
from hypothesis import strategies as st

from moderation.duty.duty import Duty, on_duty
from moderation.duty.week import WEEK, people_by_hour
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, HOUR, MARK, MINA, NOON, OLGA

MIDNIGHT = NOON - 12 * HOUR
PEOPLE = (ANNA, MARK, MINA, OLGA)
HOURS = st.sampled_from(
    ["mon-fri 08:00-18:00 UTC", "daily 20:00-06:00 UTC", "sat 00:00-24:00 Europe/Berlin", "sun 02:15-02:45 UTC"]
)
SOME = st.frozensets(st.sampled_from(PEOPLE))


def test_an_hour_with_a_gap_has_nobody() -> None:
    duty = Duty(managers=(MARK,), roster={MARK: "daily 08:00-10:30 UTC"})
    day = people_by_hour(duty, MIDNIGHT, 24)
    assert day == (0,) * 8 + (1, 1) + (0,) * 14


def test_owners_stand_in_where_no_manager_is_on_duty() -> None:
    duty = Duty(owners=(OLGA,), managers=(MARK, MINA), roster={MARK: "daily 08:00-10:00 UTC"})
    assert people_by_hour(duty, MIDNIGHT, 12) == (1,) * 12
    assert people_by_hour(Duty(managers=(MARK, MINA)), MIDNIGHT, 2) == (2, 2)


@given(SOME, st.dictionaries(st.sampled_from(PEOPLE), HOURS), SOME, SOME)
def test_it_agrees_with_who_is_on_duty(
    owners: frozenset[UserId], roster: dict[UserId, str], away: frozenset[UserId], offered: frozenset[UserId]
) -> None:
    managers = tuple(user for user in PEOPLE if user not in owners)
    duty = Duty(owners=tuple(sorted(owners)), managers=managers, roster=roster, away=away, offered=offered)
    week = people_by_hour(duty, MIDNIGHT)
    assert len(week) == WEEK
    for hour in range(0, WEEK, 5):
        parts = (MIDNIGHT + hour * HOUR + part * HOUR // 4 for part in range(4))
        assert week[hour] == min(len(on_duty(duty, at_ms)) for at_ms in parts)
