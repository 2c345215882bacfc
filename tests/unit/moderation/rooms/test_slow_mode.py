"""Slow mode, and the similar limit for low credit: which messages are held back, and how often people are told."""

from dataclasses import replace

import pytest

from moderation.judge.judge import judge
from moderation.model.actions.telling import Tell
from moderation.model.context import Slow
from moderation.model.facts import Found, SanctionStarted
from moderation.values.ids import EventId
from moderation.values.notices import RoomName, Span, line
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    NOON,
    ROOM,
    compiled,
    context,
    in_words_of,
    person,
    policy,
    room,
    said,
    terms,
)

PLAIN = policy()
SLOW = replace(room(), slow=Slow(60_000, NOON - DAY))
HELD = SanctionStarted(
    room=ROOM,
    on=7,
    kind="redact",
    basis="rule",
    rule="room_slow",
    every=60_000,
    subject=ANNA,
    event=EventId("$said"),
)


@pytest.mark.parametrize(
    ("last", "held"),
    [
        (None, False),
        (NOON - 60_000, False),
        (NOON - 59_999, True),
    ],
)
def test_messages_faster_than_the_pace_are_removed(last: int | None, held: bool) -> None:
    facts = judge(said("hello"), context(here=SLOW, stood=last), PLAIN, (), 7)
    assert facts == ((HELD,) if held else ())


@pytest.mark.parametrize(
    ("heard", "sent", "held"),
    [
        (0, NOON + 10 * DAY, True),  # heard when it was said: nobody has more time by claiming another
        (0, NOON - 10 * DAY, True),
        (NOON - 600_000, NOON - 540_000, False),  # read after an absence, both at once: sent a minute apart
        (NOON - 600_000, NOON - 540_001, True),
        (NOON - 600_000, NOON + 10 * DAY, False),  # sent after all that was read, so far as it can be: now
    ],
)
def test_claimed_times_count_only_during_an_absence(heard: int, sent: int, held: bool) -> None:
    event = replace(said("hello"), sent_ms=sent, heard_ms=heard)
    last = NOON - 600_000 if heard else NOON - 1
    facts = judge(event, context(here=SLOW, stood=last), PLAIN, (), 7)
    assert facts == ((HELD,) if held else ())


JUST_NOW = NOON - 1


def test_managers_are_not_slowed_nor_is_an_edit() -> None:
    managing = person(MARK, manages=frozenset({ROOM}))
    assert judge(said("hello", MARK), context(managing, here=SLOW, stood=JUST_NOW), PLAIN, (), 7) == ()
    assert judge(said("hello", replaces="$first"), context(here=SLOW, stood=JUST_NOW), PLAIN, (), 7) == ()


@pytest.mark.parametrize(
    ("told", "quiet"),
    [(NOON - DAY, 1), (NOON - DAY - 1, 0), (NOON - 1, 1)],
)
def test_slow_mode_is_explained_once_a_day(told: int, quiet: int) -> None:
    known = person(told={(ROOM, "room_slow"): told})
    here = replace(SLOW, slow=Slow(60_000, 0))
    assert judge(said("hello"), context(known, here=here, stood=JUST_NOW), PLAIN, (), 7) == (
        replace(HELD, quiet=quiet),
    )


LOW = policy(credit={"start": 59})


@pytest.mark.parametrize(("told", "quiet"), [(NOON - DAY, 1), (NOON - DAY - 1, 0), (NOON - 1, 1)])
def test_the_pace_of_low_credit_is_said_once_a_day_too(told: int, quiet: int) -> None:
    known = person(told={(ROOM, "tier_slow"): told})
    (gone,) = judge(said("hello"), context(known, stood=JUST_NOW), LOW, (), 7)
    assert gone == replace(HELD, rule="tier_slow", every=30_000, quiet=quiet)


def test_the_next_word_says_how_many_were_held_back_since_the_last() -> None:
    told = person(told={(ROOM, "tier_slow"): NOON - DAY - 1})
    (gone,) = judge(said("hello"), replace(context(told, stood=JUST_NOW), held_back=36), LOW, (), 7)
    assert isinstance(gone, SanctionStarted)
    assert (gone.quiet, gone.messages) == (0, 37)
    (tell,) = [each for each in in_words_of((gone,), lambda _user: ()) if isinstance(each, Tell)]
    words = line("notice.held-several.tier_slow", room=RoomName(ROOM), every=Span(30_000), count=37)
    assert tell.lines == (words,)


def test_a_new_slow_mode_is_explained_again() -> None:
    known = person(told={(ROOM, "room_slow"): NOON - 2})
    here = replace(SLOW, slow=Slow(60_000, NOON - 1))
    assert judge(said("hello"), context(known, here=here, stood=JUST_NOW), PLAIN, (), 7) == (HELD,)


def test_a_rule_that_lets_a_message_stand_is_no_way_around_it() -> None:
    rules = policy(terms("noted", measure="none", decide="manager"))
    found, *_, gone = judge(said("noted"), context(here=SLOW, stood=JUST_NOW), rules, compiled(rules), 7)
    assert isinstance(found, Found)
    assert gone == HELD


def test_the_slower_of_two_paces_applies() -> None:
    quick = replace(SLOW, slow=Slow(10_000, 0))
    low = policy(credit={"start": 59})
    late = NOON - 20_000
    (gone,) = judge(said("hello"), context(here=quick, stood=late), low, (), 7)
    assert isinstance(gone, SanctionStarted)
    assert (gone.rule, gone.every) == ("tier_slow", 30_000)
