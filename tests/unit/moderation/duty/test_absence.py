"""The people left on duty in a room when somebody is away."""

import datetime as dt

from moderation.duty.absence import Left, left_by
from moderation.duty.duty import Duty, on_duty
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import UserId

ANNA, BEN, CARLA = (UserId(f"@{name}:example.org") for name in ("anna", "ben", "carla"))  # Anna is the owner
NOW = int(dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC).timestamp()) * 1000  # a Tuesday
OFFICE = "mon-fri 08:00-18:00 UTC"
REST = "mon-fri 18:00-08:00, sat-sun 00:00-24:00, sat, mon 00:00-08:00 UTC"


def left(duty: Duty, user: UserId = BEN, days: int = 3, back: dict[UserId, int] | None = None) -> Left:
    return left_by(duty, user, NOW, NOW + days * DAY_MS, back or {})


class TestWithoutARoster:
    def test_another_manager_suffices(self) -> None:
        assert left(Duty(owners=(ANNA,), managers=(BEN, CARLA))) == Left("managers", NOW)

    def test_the_owner_stands_in_for_the_only_manager(self) -> None:
        assert left(Duty(owners=(ANNA,), managers=(BEN,))) == Left("owner", NOW, (ANNA,))

    def test_managers_are_there_when_the_owner_goes(self) -> None:
        assert left(Duty(owners=(ANNA,), managers=(BEN,)), ANNA) == Left("managers", NOW)

    def test_nobody_is_there_when_all_are_away(self) -> None:
        duty = Duty(owners=(ANNA,), managers=(BEN,))
        assert left(duty, BEN, back={ANNA: NOW + DAY_MS}) == Left("nobody", NOW)
        assert left(duty, ANNA, back={BEN: NOW + DAY_MS}) == Left("nobody", NOW)
        assert left(Duty(owners=(ANNA,)), ANNA) == Left("nobody", NOW)
        assert left(Duty(managers=(BEN,)), BEN) == Left("nobody", NOW)


class TestWithARoster:
    def test_only_people_with_duty_hours_count(self) -> None:
        duty = Duty(owners=(ANNA,), managers=(BEN, CARLA), roster={BEN: OFFICE})
        assert left(duty) == Left("owner", NOW, (ANNA,))

    def test_a_hole_is_found_where_the_others_hours_end(self) -> None:
        duty = Duty(owners=(ANNA,), managers=(BEN, CARLA), roster={BEN: REST, CARLA: OFFICE})
        assert left(duty, back={ANNA: NOW + 9 * DAY_MS}) == Left("nobody", NOW + 6 * HOUR_MS)
        assert left(duty) == Left("managers", NOW)  # the owner is there at night

    def test_a_hole_ends_when_somebody_is_back(self) -> None:
        duty = Duty(owners=(ANNA,), managers=(BEN, CARLA), roster={BEN: REST, CARLA: OFFICE})
        assert left(duty, back={ANNA: NOW + HOUR_MS}) == Left("managers", NOW)

    def test_an_owner_with_duty_hours_takes_turns_with_managers(self) -> None:
        duty = Duty(owners=(ANNA,), managers=(BEN,), roster={ANNA: OFFICE, BEN: OFFICE})
        assert on_duty(duty, NOW) == (BEN, ANNA)
        assert left(duty) == Left("managers", NOW)
        assert on_duty(duty, NOW + 10 * HOUR_MS) == (ANNA,)
