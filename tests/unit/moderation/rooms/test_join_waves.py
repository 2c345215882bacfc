"""A wave is many strangers in a short time; it shuts a room a few times in a day, and for no longer than said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.consequences import at_once, consequences
from moderation.model.actions.removal import Kick, Redact
from moderation.model.builtin_rules import IN_WAVE, JOIN_WAVE
from moderation.model.context import Choices, InForce
from moderation.model.facts import CaseGrew, CaseOpened, SanctionStarted, WaveNoticed
from moderation.policy import Policy
from moderation.rooms.join_waves import (
    Coming,
    does_not_count,
    facts_of_removal,
    facts_of_wave,
    is_invited,
    measure_in,
    shutting,
    spares,
    wave_of,
)
from moderation.rules.unless import Unless
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    context,
    known,
    person,
    policy,
    room,
)

CAME = EventId("$came")
THREE: Any = {"wave": 3, "within": "1m"}


def joins(**settings: Any) -> Policy:
    return policy(joins={**THREE, **settings})


def coming(number: int, at: int = NOON, by: UserId | None = None) -> Coming:
    user = UserId(f"@u{number}:example.org")
    return Coming(user, at, by or user, CAME)


def wave(*times: int, **settings: Any) -> tuple[int, int]:
    """Return how many people belong to a wave when the last of them comes, and the time in which they came."""
    found, within = wave_of([coming(n, at) for n, at in enumerate(times)], times[-1], joins(**settings).joins)
    return len(found), within


def test_a_wave_is_so_many_people_within_the_time() -> None:
    assert wave(NOON - 59_999, NOON - 1, NOON) == (3, MINUTE)
    assert wave(NOON - 60_000, NOON - 1, NOON) == (0, 0)
    assert wave(NOON - 1, NOON) == (0, 0)
    assert wave(NOON, NOON, NOON, wave=0) == (0, 0)


def test_a_wave_that_joins_slowly_is_found_by_the_longer_time() -> None:
    slowly = [NOON + n * MINUTE for n in range(6)]
    assert wave(*slowly) == (0, 0)
    assert wave(*slowly, slow_wave=6, slow_within="10m") == (6, 10 * MINUTE)


@given(st.lists(st.integers(0, 10 * MINUTE), min_size=1, max_size=40))
def test_no_wave_is_found_with_fewer_people_than_set(times: list[int]) -> None:
    found, _ = wave_of([coming(n, NOON + at) for n, at in enumerate(times)], NOON + times[-1], joins().joins)
    there = [at for at in times if 0 <= times[-1] - at < MINUTE]
    assert len(found) == (len(there) if len(there) >= 3 else 0)


@pytest.mark.parametrize(("by", "invited"), [(OLGA, True), (MARK, True), (OPERA, True), (BOT, True), (ANNA, False)])
def test_people_are_invited_by_those_who_run_the_room_alone(by: UserId, invited: bool) -> None:
    assert is_invited(coming(1, by=by), room(), BOT, joins()) == invited


def test_nobody_invites_themselves_however_high_they_stand() -> None:
    assert not is_invited(Coming(OLGA, NOON, OLGA, CAME), room(), BOT, joins())


@pytest.mark.parametrize(("user", "stranger"), [(ANNA, True), (MARK, False), (OPERA, False), (BOT, False)])
def test_those_who_run_the_room_are_no_strangers(user: UserId, stranger: bool) -> None:
    assert does_not_count(context(user), 0, joins()) != stranger


def test_verified_people_are_no_strangers_unless_the_operator_says_so() -> None:
    assert does_not_count(context(ANNA), 2, joins())
    assert not does_not_count(context(ANNA), 2, joins(spare_verified=3))
    assert not does_not_count(context(ANNA), 2, joins(spare_verified=0))


def test_time_in_the_room_spares_nobody_who_was_removed() -> None:
    settings = joins(unless={"in_room_for": "1d", "users": ["@_irc_*:example.org"]}).joins
    assert spares(settings, removed=False) == settings.unless
    assert spares(settings, removed=True) == Unless(users=("@_irc_*:example.org",))


def test_the_stricter_of_operator_and_owner_holds() -> None:
    owners = replace(room(), choices=Choices(joins="gate"))
    assert measure_in(room(), joins()) == "tell"
    assert measure_in(owners, joins()) == "gate"
    assert measure_in(owners, joins(do="close")) == "close"
    assert measure_in(room(), joins(rooms=["G-OTHER"])) is None
    assert measure_in(owners, joins(wave=0)) is None


def followed(shut_today: int = 0, here: Any = None, **settings: Any) -> tuple[Any, ...]:
    return facts_of_wave(
        here or room(),
        count=3,
        within=MINUTE,
        shut_today=shut_today,
        n=5,
        now_ms=NOON,
        policy=joins(**settings),
        on=7,
    )


def noticed(**more: Any) -> WaveNoticed:
    return WaveNoticed(room=ROOM, on=7, count=3, within=MINUTE, **{"do": "tell", **more})


UNTIL = NOON + 30 * MINUTE


@pytest.mark.parametrize("do", ["gate", "close"])
def test_a_gate_has_a_case_about_nobody_and_an_end(do: Any) -> None:
    told, opened, started = followed(do=do)
    assert told == noticed(do=do, until=UNTIL, n=5)
    assert isinstance(opened, CaseOpened)
    assert (opened.n, opened.rule, opened.state, opened.subject) == (5, JOIN_WAVE, "decided", "")
    assert isinstance(started, SanctionStarted)
    assert (started.kind, started.until, started.n, started.basis, started.subject) == (do, UNTIL, 5, "rule", "")


def test_telling_does_nothing_to_anybody() -> None:
    assert followed() == (noticed(),)
    assert followed(do="gate", here=room("observing")) == (noticed(),)


def test_nobody_keeps_a_room_shut_with_waves() -> None:
    assert len(followed(2, do="close")) == 3
    assert followed(3, do="close") == (noticed(limited=1),)
    assert followed(0, do="gate", a_day=0) == (noticed(limited=1),)
    assert followed(3) == (noticed(),)


def test_a_measure_because_of_a_wave_comes_first() -> None:
    ordered = InForce(1, "lockdown", ROOM, UserId(""), 0, "command")
    by_wave = InForce(2, "gate", ROOM, UserId(""), 0, "rule")
    slow = InForce(3, "slow", ROOM, UserId(""), 0, "command")
    assert shutting([slow]) is None
    assert shutting([slow, ordered]) == ordered
    assert shutting([ordered, by_wave]) == by_wave


def test_removed_people_have_a_case_each_and_managers_stay() -> None:
    people = [(context(ANNA), CAME), (context(MARK), CAME), (context(UserId("@ben:example.org")), CAME)]
    opened, kicked, second, again = facts_of_removal(people, n=6, policy=joins(), on=7)
    assert isinstance(opened, CaseOpened)
    assert (opened.n, opened.rule, opened.subject, opened.event) == (6, IN_WAVE, ANNA, CAME)
    assert isinstance(kicked, SanctionStarted)
    assert (kicked.kind, kicked.n, kicked.subject, kicked.rule) == ("kick", 6, ANNA, IN_WAVE)
    assert isinstance(second, CaseOpened) and isinstance(again, SanctionStarted)
    assert (second.n, again.n, again.subject) == (7, 7, "@ben:example.org")


def test_somebody_removed_twice_within_one_incident_has_one_case() -> None:
    case = replace(known(4, rule=IN_WAVE).cases[4].case, opened=NOON - MINUTE)
    back = context(person(ANNA, recent_cases={(ROOM, IN_WAVE): case}))
    grew, kicked = facts_of_removal([(back, CAME)], n=6, policy=joins(), on=7)
    assert grew == CaseGrew(room=ROOM, on=7, n=4, subject=ANNA, event=CAME)
    assert isinstance(kicked, SanctionStarted) and kicked.n == 4


def test_the_removal_of_silent_people_waits_for_what_can_be_seen() -> None:
    def kick(rule: str) -> SanctionStarted:
        return SanctionStarted(room=ROOM, kind="kick", n=6, basis="rule", rule=rule, subject=ANNA)

    assert at_once([kick(IN_WAVE)]) == ()
    (at_first,) = at_once([kick("cap_members")])
    (later,) = [each for each in consequences([kick(IN_WAVE)], lambda *_: ()) if isinstance(each, Kick)]
    assert isinstance(at_first, Kick) and at_first.priority < Redact.PRIORITY < later.priority
