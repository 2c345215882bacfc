"""Actions and lines of notices survive JSON unchanged; priorities; equality of actions."""

import json
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.model.actions.base import ANSWER, CARD, NICETY, NOTICE, STATE, STOP, URGENT, Action, to_json
from moderation.model.actions.cards import EditCard, Offer, PostCard
from moderation.model.actions.registry import ACTIONS, from_json
from moderation.model.actions.removal import Kick, Redact
from moderation.model.actions.rooms import Align, Enter, KeepDesk
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import (
    Code,
    Line,
    Moment,
    Phrase,
    RoomName,
    RoomNames,
    RuleText,
    Span,
    Who,
    line,
    lines_from_json,
    lines_to_json,
)

ROOM, OTHER = RoomId("!r:x.org"), RoomId("!o:x.org")
anything = st.text(max_size=8)
values = st.one_of(
    anything,
    st.integers(),
    st.builds(Moment, st.integers()),
    st.builds(Span, st.integers()),
    *(st.builds(cls, anything) for cls in (Who, Code, Phrase, RuleText, RoomName)),
    st.builds(RoomNames, st.lists(anything, max_size=3).map(tuple)),
)
lines = st.lists(st.builds(Line, anything, st.dictionaries(anything, values, max_size=3)), max_size=3).map(tuple)


def made(cls: type[Action]) -> st.SearchStrategy[Action]:
    hints = get_type_hints(cls)
    by_type: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(),
        CaseNumber: st.integers(),
        tuple[Line, ...]: lines,
    }

    def of(hint: Any) -> st.SearchStrategy[Any]:
        optional = st.none() if type(None) in getattr(hint, "__args__", ()) else st.nothing()
        return optional | by_type.get(hint, anything)

    return st.builds(cls, **{item.name: of(hints[item.name]) for item in fields(cls)})


def test_every_action_is_in_the_table_by_its_own_name() -> None:
    known = {cls for cls in Action.__subclasses__() if cls.__module__.startswith("moderation.")}
    assert set(ACTIONS.values()) == known - {Action}
    assert all(name == cls.NAME for name, cls in ACTIONS.items())


@given(st.one_of(*map(made, ACTIONS.values())))
def test_an_action_written_down_and_read_again_is_the_same(action: Action) -> None:
    assert from_json(json.loads(json.dumps(to_json(action)))) == action


@given(st.one_of(*map(made, ACTIONS.values())))
def test_the_forms_of_queue_and_merge_name_fields_of_the_action(action: Action) -> None:
    assert action.queue is None or isinstance(action.queue, str)
    assert action.merge is None or isinstance(action.merge, str)


@given(lines)
def test_lines_written_down_and_read_again_are_the_same(said: tuple[Line, ...]) -> None:
    assert lines_from_json(json.loads(json.dumps(lines_to_json(said)))) == said


def test_a_moment_is_not_a_number_when_it_travels() -> None:
    assert lines_to_json((line("k", at=Moment(7), n=7),)) == [{"key": "k", "fields": {"at": {"$moment": 7}, "n": 7}}]


def test_measures_come_before_redactions_and_redactions_before_the_rest() -> None:
    order = [STOP, URGENT, STATE, ANSWER, CARD, NOTICE, NICETY]
    assert order == sorted(order)
    urgent: dict[type[Action], int] = {Align: STOP, Kick: STOP, Redact: URGENT, Say: ANSWER}
    later: dict[type[Action], int] = {PostCard: CARD, TellDesk: CARD, Tell: NOTICE, Offer: NICETY}
    expected = urgent | later
    assert {cls: cls.PRIORITY for cls in expected} == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Align(room=ROOM), Align(room=ROOM), True),
        (Align(room=ROOM), Align(room=OTHER), False),
        (Align(room=ROOM), KeepDesk(room=ROOM), False),
        (Enter(room=ROOM, inviter=UserId("@a:x")), Enter(room=ROOM, inviter=UserId("@b:x")), True),
        (PostCard(room=ROOM, n=CaseNumber(1)), PostCard(room=ROOM, n=CaseNumber(1)), True),
        (PostCard(room=ROOM, n=CaseNumber(1)), EditCard(room=ROOM, n=CaseNumber(1)), False),
        (EditCard(room=ROOM, n=CaseNumber(1)), EditCard(room=ROOM, n=CaseNumber(2)), False),
        (TellDesk(room=ROOM, lines=(), once="refused"), TellDesk(room=ROOM, lines=(), once="refused"), True),
    ],
)
def test_equal_waiting_actions_share_a_key(one: Action, other: Action, same: bool) -> None:
    assert one.merge is not None
    assert (one.merge == other.merge) is same


@pytest.mark.parametrize(
    "action",
    [
        Redact(room=ROOM, event=EventId("$e"), subject=UserId("@a:x")),
        Kick(room=ROOM, subject=UserId("@a:x")),
        Say(room=ROOM, lines=()),
        Tell(room=ROOM, subject=UserId("@a:x"), lines=()),
        TellDesk(room=ROOM, lines=()),
        Offer(room=ROOM, n=CaseNumber(1), key="✅"),
    ],
)
def test_other_actions_are_never_merged(action: Action) -> None:
    assert action.merge is None
