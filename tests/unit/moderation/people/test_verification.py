"""A room's required level, the people below it, and the consequences: only after notice and time, and no exempt."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.judge.judge import judge
from moderation.model.builtin_rules import UNVERIFIED, UNVERIFIED_MANAGER
from moderation.model.context import Context, InForce, PersonView, VerificationInForce
from moderation.model.facts import CaseOpened, DoorAnswered, Fact, SanctionEnded, SanctionStarted, VerificationAsked
from moderation.model.reach import Spot
from moderation.people import door as at_the_door
from moderation.people import verification
from moderation.policy import Policy, VerificationSettings
from moderation.values.events import MembershipChanged, ReactionGiven, StateChanged, Text
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.levels import REACHES
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    CODE,
    DAY,
    HOUR,
    MARK,
    NOON,
    OLGA,
    OPERA,
    OTHER,
    ROOM,
    compiled,
    context,
    person,
    policy,
    room,
    said,
    terms,
)

WEEK = 7 * DAY
BEGAN = NOON - 30 * DAY  # when the room began to ask
ASKING = replace(room(), asked=BEGAN)


def settings(**own: Any) -> Policy:
    return policy(verification={"write": 2, "below": "restrict", "grace": "7d", **own})


def vouch(until: int = NOON + DAY, level: int = 2, method: Any = "vouch") -> VerificationInForce:
    return VerificationInForce(method, level, until)


def here(subject: PersonView | UserId = ANNA, **more: Any) -> Context:
    return context(subject, here=more.pop("here", ASKING), **more)


def writes(subject: PersonView | UserId, policy: Policy, *, here_: Any = ASKING, **more: Any) -> tuple[Fact, ...]:
    event = said("hello", subject.user if isinstance(subject, PersonView) else subject, at=NOON)
    return verification.facts_of_writing(
        event, here(subject, here=here_, now=NOON), policy, 5, gone=more.get("gone", False)
    )


def asked(what: Any, until: int = 0, user: UserId = ANNA, *, on: int = -1, where: RoomId | None = ROOM) -> Fact:
    return VerificationAsked(room=where, on=on, what=what, until=until, subject=user)


def door(what: Any, until: int = 0, *, on: int = -1) -> Fact:
    return DoorAnswered(room=ROOM, on=on, what=what, until=until, subject=ANNA)


HELD = SanctionStarted(
    room=ROOM, on=5, kind="redact", basis="rule", rule=UNVERIFIED, subject=ANNA, event=EventId("$said")
)


# What a room asks for.


def test_the_first_table_that_matches_overrides_what_it_names() -> None:
    given = VerificationSettings.model_validate(
        {
            "write": 1,
            "methods": ["email"],
            "rooms": [
                {"rooms": ["G-OTHER"], "write": 3},
                {"rooms": ["G-7F*"], "below": "gate", "write": 2},
                {"rooms": ["*"], "write": 0},
            ],
        }
    )
    assert verification.room_demands(given, ROOM, CODE) == verification.Asks(
        2, 0, 0, "gate", WEEK, frozenset({"email"})
    )
    assert verification.room_demands(given, OTHER, "G-ELSE").write == 0


def test_a_quick_look_tells_whether_anything_is_asked() -> None:
    rooms = ({"rooms": ("*",), "manage": 2},)
    assert [
        verification.any_room_asks(VerificationSettings.model_validate(each))
        for each in ({}, {"write": 1}, {"rooms": rooms})
    ] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ({}, {"write": 2}, True),
        ({"write": 2}, {"write": 3}, True),
        ({"write": 2}, {"write": 1}, False),
        ({"write": 2}, {"write": 2, "below": "remove"}, True),
        ({"write": 2, "below": "remove"}, {"write": 2, "below": "restrict"}, False),
        ({"write": 2}, {"write": 2, "below": "off"}, False),
        ({"write": 2}, {"write": 2, "manage": 2}, True),
        ({"write": 2}, {"write": 2, "grace": 1}, False),
    ],
)
def test_the_grace_period_restarts_if_a_room_asks_for_more(before: Any, after: Any, more: bool) -> None:
    old, new = (verification.room_demands(VerificationSettings.model_validate(each), ROOM) for each in (before, after))
    assert new.more_than(old) is more


def test_only_methods_that_count_and_are_in_force_reach_a_level() -> None:
    proofs = (vouch(NOON), vouch(NOON + 1, 1, "email"), vouch(NOON + 1, 3, "oidc"))
    assert verification.level_reached(proofs, frozenset({"vouch", "email"}), None, NOON) == 1
    assert verification.level_reached(proofs, frozenset({"oidc"}), None, NOON) == 3
    assert verification.level_lapsed_at(proofs, 2, frozenset({"vouch"}), room(), NOON) == NOON
    assert verification.level_lapsed_at(proofs, 3, frozenset({"vouch"}), room(), NOON) == 0


def test_a_vouch_counts_in_the_vouchers_community() -> None:
    given = VerificationInForce("vouch", 2, NOON + 1, "garden-club", OTHER)
    methods = frozenset(REACHES)
    assert verification.level_reached((given,), methods, Spot(ROOM, "garden-club"), NOON) == 2
    assert (
        verification.level_reached((given,), methods, Spot(OTHER, "G-7F3K"), NOON) == 2
    )  # where it was given, whatever it is called
    assert verification.level_reached((given,), methods, Spot(ROOM, "G-7F3K"), NOON) == 0
    assert verification.level_reached((given,), methods, None, NOON) == 0
    assert verification.level_reached((vouch(NOON + 1),), methods, None, NOON) == 2  # of before there were communities


# Writing.


@pytest.mark.parametrize("below", ["off", "remind", "restrict", "gate", "remove"])
def test_a_verified_person_writes_without_notices(below: str) -> None:
    assert writes(replace(person(), proofs=(vouch(),)), settings(below=below)) == ()


@pytest.mark.parametrize("who", [BOT, OPERA, OLGA])
def test_operators_owners_and_the_bot_are_asked_for_nothing(who: UserId) -> None:
    assert writes(who, settings()) == ()


def test_managers_are_asked_for_the_level_of_managers_only() -> None:
    assert writes(replace(person(MARK), manages=frozenset({ROOM})), settings()) == ()


def test_remind_only_reminds_once_a_week() -> None:
    asks = settings(below="remind")
    told = replace(person(), told={(ROOM, "reminded"): NOON - WEEK + 1})
    assert writes(person(), asks) == (asked("reminded", on=5),)
    assert writes(told, asks) == ()
    assert writes(replace(told, told={(ROOM, "reminded"): NOON - WEEK}), asks) == (asked("reminded", on=5),)
    assert writes(replace(told, told={(OTHER, "reminded"): NOON}), asks) == (asked("reminded", on=5),)


def test_during_the_grace_period_nothing_is_removed_and_its_end_named() -> None:
    newcomer = replace(person(), since={ROOM: NOON - DAY})
    assert writes(newcomer, settings()) == (asked("reminded", NOON + 6 * DAY, on=5),)


def test_after_the_grace_period_messages_are_removed_with_an_hourly_hint() -> None:
    known = replace(person(), since={ROOM: BEGAN})
    assert writes(known, settings()) == (HELD, asked("held", on=5))
    assert writes(replace(known, told={(ROOM, "held"): NOON - HOUR + 1}), settings()) == (HELD,)
    assert writes(known, settings(), gone=True) == (asked("held", on=5),)


def test_reactions_topics_and_new_names_take_what_writing_takes() -> None:
    known = person(since={ROOM: BEGAN})
    common: dict[str, Any] = {
        "room": ROOM,
        "event": EventId("$said"),
        "sender": ANNA,
        "received_ms": NOON,
        "sent_ms": NOON,
    }
    words = (Text("topic", "buy coins"),)
    member: dict[str, Any] = {**common, "type": "m.room.member", "user": ANNA, "membership": "join", "content": {}}
    events: list[Any] = [
        ReactionGiven(**common, type="m.reaction", content={}, target=EventId("$other"), key="buy coins"),
        StateChanged(**common, type="m.room.topic", content={}, state_key="", texts=words),
        MembershipChanged(**member, texts=words),
    ]
    for event in events:
        assert judge(event, here(known, now=NOON), settings(), (), 5) == (HELD, asked("held", on=5)), event
    silent = StateChanged(**common, type="m.room.avatar", content={}, state_key="")
    report = replace(events[0], key="🚩")
    for event in (silent, report):
        assert judge(event, here(known, now=NOON), settings(), (), 5) == (), event


def test_a_reaction_is_neither_taken_nor_answered_while_there_is_time_or_once_verified() -> None:
    reaction = ReactionGiven(
        room=ROOM,
        event=EventId("$said"),
        sender=ANNA,
        received_ms=NOON,
        sent_ms=NOON,
        type="m.reaction",
        content={},
        target=EventId("$other"),
        key="hello",
    )
    for known in (person(since={ROOM: NOON - DAY}), person(since={ROOM: BEGAN}, proofs=(vouch(),))):
        assert judge(reaction, here(known, now=NOON), settings(), (), 5) == ()


def test_the_name_with_which_somebody_comes_in_first_stays() -> None:
    gated = policy(verification={"write": 2, "below": "gate", "grace": "7d"})
    join = MembershipChanged(
        room=ROOM,
        event=EventId("$said"),
        sender=ANNA,
        received_ms=NOON,
        sent_ms=NOON,
        type="m.room.member",
        content={},
        user=ANNA,
        membership="join",
        texts=(Text("display_name", "Anna"),),
    )
    never: dict[RoomId, int] = {}
    for since in (never, {ROOM: NOON}):
        assert judge(join, here(person(since=since), now=NOON), gated, (), 5) == ()


def test_time_begins_when_the_room_began_to_ask_or_their_verification_ended_if_that_is_later() -> None:
    long_known = replace(person(), since={ROOM: 1})
    lately = replace(ASKING, asked=NOON - DAY)
    assert writes(long_known, settings(), here_=lately) == (asked("reminded", NOON + 6 * DAY, on=5),)
    expired = replace(long_known, proofs=(vouch(NOON - 2 * DAY),))
    assert writes(expired, settings()) == (asked("reminded", NOON + 5 * DAY, on=5),)


def test_nothing_is_removed_if_the_bot_cannot_act() -> None:
    assert writes(person(), settings(), here_=replace(room("observing"), asked=BEGAN)) == (
        asked("reminded", BEGAN + WEEK, on=5),
    )


def test_a_newcomer_to_a_gated_room_has_no_grace_period() -> None:
    gate = settings(below="gate")
    before, since = replace(person(), since={ROOM: NOON - DAY}), replace(ASKING, asked=NOON - HOUR)
    assert writes(before, gate, here_=since) == (asked("reminded", NOON - HOUR + WEEK, on=5),)
    assert writes(replace(person(), since={ROOM: NOON - 1}), gate, here_=since) == (HELD, asked("held", on=5))


def test_a_rule_takes_precedence_and_a_message_is_removed_once() -> None:
    asks = policy(terms("spam"), verification={"write": 2, "below": "restrict"})
    facts = judge(said("spam"), here(replace(person(), since={ROOM: BEGAN})), asks, compiled(asks), 5)
    assert [fact.rule for fact in facts if isinstance(fact, SanctionStarted)] == ["spam"]
    assert facts[-1] == asked("held", on=5)


# Staying.


def guest(**known: Any) -> verification.Guest:
    return verification.Guest(user=ANNA, **{"since": BEGAN, **known})


REMOVE = settings(below="remove")
ASKS = verification.asked_of(ASKING, REMOVE)


def stays(who: verification.Guest, now: int, subject: PersonView | UserId = ANNA, **more: Any) -> tuple[Fact, ...]:
    return verification.facts_of_staying(who, ASKS, here(subject, now=now, next_case=7, **more), REMOVE)


CASE = CaseOpened(
    room=ROOM, n=7, rule=UNVERIFIED, grade="minor", decide="auto", state="decided", due=0, subject=ANNA
)  # fmt: skip
KICK = SanctionStarted(room=ROOM, kind="kick", n=7, basis="verification", rule=UNVERIFIED, subject=ANNA)


def test_unverified_members_are_told_half_way_and_removed_without_charge() -> None:
    half, end = BEGAN + WEEK // 2, BEGAN + WEEK
    assert stays(guest(), half - 1) == ()
    assert stays(guest(), half) == (asked("halfway", end),)
    told = guest(told={"halfway": half})
    assert verification.next_step(told, ASKS, ASKING) == end
    assert stays(told, end - 1) == ()
    assert stays(told, end) == (replace(CASE, due=end), KICK)


def test_nobody_is_removed_without_an_earlier_notice() -> None:
    assert stays(guest(), NOON) == (asked("halfway", NOON + WEEK // 2),)
    assert stays(guest(told={"halfway": NOON}), NOON + WEEK // 2 - 1) == ()
    before_the_lapse = guest(lapsed=NOON - WEEK, told={"halfway": NOON - WEEK - 1})
    assert stays(before_the_lapse, NOON) == (asked("halfway", NOON + WEEK // 2),)


@pytest.mark.parametrize("who", [MARK, OLGA, OPERA, BOT])
def test_managers_owners_operators_and_the_bot_never_go(who: UserId) -> None:
    assert stays(replace(guest(told={"halfway": BEGAN + 1}), user=who), NOON, who) == ()


def test_no_removal_is_announced_if_the_bot_cannot_remove() -> None:
    assert stays(guest(told={"halfway": BEGAN + 1}), NOON, here=replace(room("observing"), asked=BEGAN)) == ()


@given(since=st.integers(0, NOON), told=st.integers(0, NOON), lapsed=st.integers(0, NOON), now=st.integers(0, NOON))
def test_every_removed_member_was_told_half_way_and_had_the_full_time(
    since: int, told: int, lapsed: int, now: int
) -> None:
    who = guest(since=since, lapsed=lapsed, told={"halfway": told})
    facts = stays(who, now)
    if any(isinstance(fact, SanctionStarted) for fact in facts):
        assert now - told >= WEEK // 2
        assert now - max(since, lapsed, BEGAN) >= WEEK


# Managing.


MANAGE = settings(write=0, manage=2, below="remind")


def manages(told: int, now: int, **more: Any) -> tuple[Fact, ...]:
    who = verification.Guest(user=MARK, since=1, lapsed=more.pop("lapsed", 0), told={"managing": told} if told else {})
    subject = replace(person(MARK), in_force=more.pop("in_force", ()))
    return verification.manages(who, verification.asked_of(ASKING, MANAGE), here(subject, now=now, next_case=7), MANAGE)


def test_a_manager_is_told_then_suspended_and_not_twice() -> None:
    assert manages(0, NOON) == (asked("managing", NOON + WEEK, MARK),)
    assert manages(NOON, NOON + WEEK - 1) == ()
    case, demoted = manages(NOON, NOON + WEEK)
    assert isinstance(case, CaseOpened)
    assert (case.rule, case.asked, case.subject) == (UNVERIFIED_MANAGER, "owner", MARK)
    assert demoted == SanctionStarted(
        room=ROOM, kind="demote", n=7, basis="verification", rule=UNVERIFIED_MANAGER, subject=MARK
    )
    assert manages(NOON, NOON + WEEK, in_force=(suspended(),)) == ()
    assert manages(NOON, NOON + 9 * DAY, lapsed=NOON + DAY) == (asked("managing", NOON + 16 * DAY, MARK),)


def suspended() -> InForce:
    return InForce(3, "demote", ROOM, MARK, 0, "verification", 7)


def test_rights_come_back_when_the_level_is_reached_or_asked_for_no_more() -> None:
    subject = person(MARK)
    assert verification.why_demotion_ends(subject, ASKING, MANAGE, NOON) is None
    assert verification.why_demotion_ends(replace(subject, proofs=(vouch(),)), ASKING, MANAGE, NOON) == "verified"
    assert verification.why_demotion_ends(subject, ASKING, policy(), NOON) == "settings"
    assert verification.why_demotion_ends(subject, None, MANAGE, NOON) == "settings"
    ended = SanctionEnded(room=ROOM, on=3, start=3, kind="demote", why="verified", n=7, subject=MARK)
    assert suspended().end("verified", on=3) == ended


# The door.


GATE = settings(below="gate")


def test_a_knock_is_admitted_or_answered_once() -> None:
    ann = person()
    assert at_the_door.answer_knock(here(replace(ann, proofs=(vouch(),))), GATE, on=5) == (door("admitted", on=5),)
    assert at_the_door.answer_knock(here(ann), GATE, on=5) == (door("knocked", NOON + WEEK, on=5),)
    again = replace(ann, told={(ROOM, "knocked"): NOON - HOUR + 1})
    assert at_the_door.answer_knock(here(again), GATE, on=5) == ()
    assert at_the_door.refuse_knock(ROOM, ANNA) == (door("refused"),)


def test_the_people_who_run_a_room_come_in_as_they_are() -> None:
    assert [at_the_door.welcome(person(who), ASKING, BOT, GATE, NOON) for who in (MARK, OLGA, OPERA, ANNA)] == [
        True,
        True,
        True,
        False,
    ]


def test_people_in_the_lobby_are_admitted_or_reminded_once_a_week() -> None:
    ann = person()
    assert at_the_door.answer_in_lobby(here(ann), GATE, on=5) == (door("waiting", on=5),)
    assert at_the_door.answer_in_lobby(here(replace(ann, told={(ROOM, "waiting"): NOON - WEEK + 1})), GATE, on=5) == ()
    assert at_the_door.answer_in_lobby(here(replace(ann, proofs=(vouch(),))), GATE, on=5) == (door("admitted", on=5),)


# Founding, and the end of a verification.


def test_a_room_is_declined_for_a_founder_below_the_level() -> None:
    founds = settings(found=2)
    assert verification.founder_declined(person(), ROOM, founds, NOON)
    assert not verification.founder_declined(replace(person(), proofs=(vouch(),)), ROOM, founds, NOON)
    assert not verification.founder_declined(person(OPERA), ROOM, founds, NOON)
    assert not verification.founder_declined(person(), ROOM, settings(), NOON)


def test_the_end_is_announced_a_week_before_or_half_way_of_a_short_one() -> None:
    assert verification.warned_from(NOON, NOON + 30 * DAY) == NOON + 23 * DAY
    assert verification.warned_from(NOON, NOON + 2 * DAY) == NOON + DAY
    assert verification.expires(ANNA, NOON + 1, NOON) == (asked("expires", NOON + 1, where=None),)
    assert verification.expires(ANNA, NOON, NOON) == (asked("lapsed", NOON, where=None),)
