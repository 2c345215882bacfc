"""The people on duty, those who are asked, and those who are asked next."""

from hypothesis import given
from hypothesis import strategies as st

from moderation.duty.duty import LEVELS, Duty, can_act, candidates, first_to_ask, next_level, on_duty
from moderation.model.facts import Asked
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, HOUR, MARK, MINA, NOON, OLGA, OPERA

ALL = Duty(owners=(OLGA,), managers=(MARK, MINA), operators=(OPERA,))
BOTH_AWAY = frozenset({MARK, MINA})
NOW = NOON  # of a weekday, UTC
WORKDAYS, NIGHTS = "mon-fri 08:00-18:00 UTC", "daily 20:00-06:00 UTC"


def duty(**changes: object) -> Duty:
    values = {"owners": (OLGA,), "managers": (MARK, MINA), "operators": (OPERA,), **changes}
    return Duty(**values)  # type: ignore[arg-type]


def test_without_duty_hours_all_managers_not_away_are_on_duty() -> None:
    assert on_duty(ALL, NOW) == (MARK, MINA)
    assert on_duty(duty(away=frozenset({MARK})), NOW) == (MINA,)


def test_where_no_manager_is_on_duty_the_owner_is_unless_away_too() -> None:
    assert on_duty(duty(away=BOTH_AWAY), NOW) == (OLGA,)
    assert on_duty(duty(managers=()), NOW) == (OLGA,)
    assert on_duty(duty(away=BOTH_AWAY | {OLGA}), NOW) == ()


def test_with_duty_hours_only_people_within_them_are_on_duty() -> None:
    taken = duty(roster={MARK: WORKDAYS, MINA: NIGHTS})
    assert on_duty(taken, NOW) == (MARK,)
    assert on_duty(taken, NOW + 9 * HOUR) == (MINA,)
    assert on_duty(taken, NOW + 7 * HOUR) == (OLGA,)  # between the two
    assert on_duty(duty(roster={MARK: WORKDAYS}, away=frozenset({MARK})), NOW) == (OLGA,)
    assert on_duty(duty(roster={ANNA: WORKDAYS}), NOW) == (OLGA,)  # who is in it runs the room no more


def test_an_owner_with_duty_hours_takes_turns_like_a_manager() -> None:
    assert on_duty(duty(roster={OLGA: WORKDAYS, MARK: WORKDAYS}), NOW) == (MARK, OLGA)
    assert on_duty(duty(roster={OLGA: NIGHTS, MARK: WORKDAYS}), NOW) == (MARK,)


def test_nobody_is_asked_about_themselves_and_then_it_goes_up() -> None:
    assert first_to_ask("managers", ALL, NOW, without=frozenset({MARK})) == ("managers", (MINA,))
    assert first_to_ask("managers", ALL, NOW, without=BOTH_AWAY) == ("owner", (OLGA,))
    assert first_to_ask("managers", ALL, NOW, without=BOTH_AWAY | {OLGA}) == ("operator", (OPERA,))
    assert first_to_ask("operator", ALL, NOW, without=frozenset({OPERA})) == ("operator", ())


def test_an_owner_who_is_away_is_not_asked_either() -> None:
    gone = duty(away=BOTH_AWAY | {OLGA})
    assert candidates("owner", gone, NOW) == ()
    assert first_to_ask("managers", gone, NOW) == ("operator", (OPERA,))
    assert first_to_ask("owner", duty(owners=(ANNA, OLGA), away=frozenset({OLGA})), NOW) == ("owner", (ANNA,))


def test_where_no_operator_is_named_the_command_line_is_asked() -> None:
    assert first_to_ask("managers", Duty(), NOW) == ("operator", ())


def test_managers_escalate_to_the_owner_then_to_the_operator() -> None:
    assert [next_level(level) for level in LEVELS] == ["owner", "operator", "operator"]


def test_everybody_who_runs_the_room_can_act_away_or_not() -> None:
    assert can_act(duty(away=BOTH_AWAY | {OLGA})) == {OLGA, MARK, MINA}


PEOPLE = st.sampled_from((OLGA, MARK, MINA, ANNA, OPERA))
SETS = st.frozensets(PEOPLE)


@given(
    lowest=st.sampled_from(LEVELS),
    owners=SETS,
    managers=SETS,
    away=SETS,
    without=SETS,
    roster=st.dictionaries(PEOPLE, st.sampled_from((WORKDAYS, NIGHTS))),
    now=st.integers(0, 7 * 24).map(lambda hours: NOON + hours * HOUR),
)
def test_only_eligible_people_are_asked(
    lowest: Asked,
    owners: frozenset[UserId],
    managers: frozenset[UserId],
    away: frozenset[UserId],
    without: frozenset[UserId],
    roster: dict[UserId, str],
    now: int,
) -> None:
    here = Duty(tuple(sorted(owners)), tuple(sorted(managers - owners)), (OPERA,), away, roster)
    level, asked = first_to_ask(lowest, here, now, without=without)
    assert LEVELS.index(level) >= LEVELS.index(lowest)
    assert not set(asked) & without
    assert level == "operator" or (asked and not set(asked) & away and set(asked) <= can_act(here))
    lower = LEVELS[LEVELS.index(lowest) : LEVELS.index(level)]
    assert all(set(candidates(each, here, now)) <= without for each in lower)
