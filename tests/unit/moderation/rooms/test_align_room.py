"""Suspended posting and closed rooms in a simulated room: the right people can post, and everything is restored."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.model.context import InForce
from moderation.model.facts import KeptStep
from moderation.rooms.align_people import MAX_CORRECTIONS, Alignment, Change, RoomPicture
from moderation.rooms.align_room import MORE, SILENCED, align, join_rule, join_rules
from moderation.values.ids import UserId
from tests.examples import tried
from tests.unit.moderation.builders import ANNA, BOT, MARK, MINA, NOON, OLGA, ROOM
from tests.unit.moderation.rooms.aligned_room import CREATOR, AlignedRoom

BEN = UserId("@ben:example.org")
START: dict[str, Any] = {
    "users": {OLGA: 100, BOT: 100, MARK: 50, MINA: 60, BEN: 10},
    "events": {"m.room.name": 50, "m.reaction": 0, "m.sticker": 70},
    "events_default": 0,
    "notifications": {"room": 50},
}
PEOPLE = (ANNA, BEN, MARK, MINA, OLGA)
MANAGERS, MEMBERS = (MARK, MINA, OLGA), (ANNA, BEN)
ITSELF = UserId("")


@dataclass
class Simulated(AlignedRoom):
    """A room of a homeserver."""

    levels: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(START))
    rule: dict[str, Any] = field(default_factory=lambda: {"join_rule": "public"})

    def start(self, kind: Any, user: UserId = OLGA) -> int:
        self.started += 1
        basis = "operator" if kind in ("suspend", "close", "rectify") else "rule"
        self.in_force[self.started] = InForce(self.started, kind, ROOM, user, NOON, basis)
        return self.started

    def look(self) -> Alignment:
        joined = dict.fromkeys((*PEOPLE, BOT, CREATOR), "join")
        there = RoomPicture(self.power, joined, BOT, self.holds, join_rule(self.rule))
        return align(there, self.in_force.values())

    def by_hand(self, **levels: Any) -> None:
        self.levels = {**self.levels, **levels}

    def can_post(self, kind: str = "m.room.message") -> set[UserId]:
        return {user for user in PEOPLE if self.power.can_send(user, kind)}

    def write(self, found: Alignment) -> None:
        for kind, level in found.required.items():
            assert self.power.can_set_required(BOT, kind, level)
        if found.levels or found.required:
            self.levels = self.power.with_levels(self.levels, found.levels, found.required)
        if found.joining:
            assert self.power.can_send(BOT, "m.room.join_rules", state=True)
            self.rule = join_rules(found.joining, self.rule)

    def subject_of(self, change: Change) -> str:
        return change.what


def room_change(what: str, step: KeptStep, prior: str, held: str, write: bool = True) -> Change:
    return Change(ITSELF, what, step, prior, held, write)


# Suspended.


def test_suspended_only_managers_post_whatever_has_a_level_of_its_own() -> None:
    there = Simulated()
    measure = there.start("suspend")
    assert there.align() == Alignment(
        (
            room_change("posting m.reaction", "held", "0", "50"),
            room_change("posting", "held", "0", "50"),
            room_change("posting m.room.redaction", "held", "-", "0"),
        )
    )
    for kind in SILENCED:
        assert there.can_post(kind) == ({OLGA} if kind == "m.sticker" else set(MANAGERS))
        assert there.power.can_send(BOT, kind)
    assert there.can_post("m.room.redaction") == set(PEOPLE)  # everybody can take their own words back
    assert there.rule == {"join_rule": "public"}
    assert there.align() == Alignment()
    del there.in_force[measure]
    there.align()
    assert (there.levels, there.holds, there.told) == (START, {}, [])


def test_levels_that_were_not_written_are_taken_away_again() -> None:
    bare = {"users": START["users"]}
    there = Simulated(levels=copy.deepcopy(bare))
    measure = there.start("suspend")
    there.align()
    assert there.can_post() == set(MANAGERS)
    del there.in_force[measure]
    there.align()
    assert there.levels == {**bare, "events": {}}


def test_where_posting_takes_as_much_already_nothing_is_changed() -> None:
    there = Simulated(levels={**START, "events": {}, "events_default": 50})
    there.start("suspend")
    assert there.align() == Alignment()


@pytest.mark.parametrize("kind", ["suspend", "close"])
def test_nobodys_role_changes_and_managers_keep_their_rights_over_others(kind: str) -> None:
    levels = {**copy.deepcopy(START), "ban": 100, "kick": 100}  # whose managers may redact and nothing else
    there = Simulated(levels=levels)
    roles = {user: there.power.role(user) for user in PEOPLE}
    there.start(kind)
    there.align()
    assert {user: there.power.role(user) for user in PEOPLE} == roles
    assert there.power.can_redact_others(MARK)
    assert there.power.missing_for(BOT) == ()


def test_the_bot_never_sets_more_than_it_has() -> None:
    levels = {**copy.deepcopy(START), "ban": 70, "kick": 70, "redact": 70}
    levels["users"] = {**START["users"], BOT: 60}
    levels["events"] = {"m.room.power_levels": 50, "m.room.join_rules": 50}
    for kind in ("suspend", "close"):
        there = Simulated(levels=copy.deepcopy(levels))
        there.start(kind)
        there.align()
        assert there.levels["events_default"] == 60
        assert there.power.can_send(BOT, "m.room.message")


# Closed.


def test_in_a_closed_room_only_managers_post_and_nobody_joins_uninvited() -> None:
    there = Simulated()
    there.levels["users"][OLGA] = 90
    before = copy.deepcopy(there.levels)
    measure = there.start("close")
    there.align()
    assert there.can_post() == set()
    assert there.power.can_send(BOT, "m.room.message")
    assert there.rule == {"join_rule": "invite"}
    del there.in_force[measure]
    there.align()
    assert (there.levels, there.rule, there.holds) == (before, {"join_rule": "public"}, {})


def test_creators_stand_above_every_level_and_the_bot_as_one_closes_below_itself() -> None:
    there = Simulated(version="12")
    there.start("close")
    there.align()
    assert there.can_post() == {OLGA}  # as high as the bot
    assert there.power.can_send(CREATOR, "m.room.message")


@pytest.mark.parametrize("rule", [{"join_rule": "restricted", "allow": [{"room_id": "!x"}]}, {"join_rule": "a b"}])
def test_a_join_rule_that_could_not_be_given_back_is_left_alone_and_said(rule: dict[str, Any]) -> None:
    there = Simulated(rule=rule)
    there.start("close")
    assert there.align().impossible == ((ITSELF, "join-rule"),)
    assert there.rule == rule
    assert there.can_post() == {OLGA}


@pytest.mark.parametrize("rule", ["invite", "private"])
def test_where_nobody_joins_unasked_already_the_rule_stays(rule: str) -> None:
    there = Simulated(rule={"join_rule": rule})
    there.start("close")
    there.align()
    assert there.rule == {"join_rule": rule}
    assert (ITSELF, "joining") not in there.holds


def test_a_join_rule_set_by_hand_that_says_more_is_respected_at_once() -> None:
    there = Simulated()
    measure = there.start("close")
    there.align()
    there.rule = {"join_rule": "restricted", "allow": []}
    there.align()
    assert there.told == [("joining", "overruled")]
    assert there.align() == Alignment()
    del there.in_force[measure]
    there.align()
    assert there.rule == {"join_rule": "restricted", "allow": []}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ({"join_rule": "public"}, "public"),
        ({"join_rule": "knock"}, "knock"),
        ({"join_rule": "restricted", "allow": []}, "restricted+"),
        ({"join_rule": "restricted", "allow": [], "more": 1}, MORE),
        ({"join_rule": 3}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_join_rule_is_classified(content: Any, rule: str) -> None:
    assert join_rule(content) == rule


# Gated, locked down.


def test_gated_nobody_comes_in_uninvited_and_only_managers_invite() -> None:
    there = Simulated()
    measure = there.start("gate")
    assert there.align() == Alignment(
        (room_change("inviting", "held", "-", "50"), room_change("joining", "held", "public", "knock"))
    )
    assert (there.rule, there.can_post()) == ({"join_rule": "knock"}, set(PEOPLE))
    assert {user for user in PEOPLE if there.power.level(user) >= there.power.invite} == set(MANAGERS)
    del there.in_force[measure]
    there.align()
    assert (there.levels, there.rule, there.holds) == (START, {"join_rule": "public"}, {})


def test_locked_down_a_room_is_gated_and_suspended() -> None:
    there = Simulated()
    measure = there.start("lockdown")
    there.align()
    assert (there.rule, there.can_post()) == ({"join_rule": "knock"}, set(MANAGERS))
    del there.in_force[measure]
    there.align()
    assert (there.levels, there.rule, there.holds) == (START, {"join_rule": "public"}, {})


ALLOW = [{"type": "m.room_membership", "room_id": "!club:example.org"}]


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [
        ({"join_rule": "invite"}, {"join_rule": "invite"}),  # takes an invitation already
        ({"join_rule": "knock"}, {"join_rule": "knock"}),
        (
            {"join_rule": "restricted", "allow": ALLOW},
            {"join_rule": "knock", "allow": ALLOW},
        ),  # raids come by lists too
        ({"join_rule": "knock_restricted", "allow": ALLOW}, {"join_rule": "knock", "allow": ALLOW}),
        ({"join_rule": "public", "more": 1}, {"join_rule": "public", "more": 1}),  # could not be given back
    ],
)
def test_a_gate_opens_nothing_and_gives_everything_back(before: dict[str, Any], meanwhile: dict[str, Any]) -> None:
    there = Simulated(rule=before)
    measure = there.start("gate")
    there.align()
    assert there.rule == meanwhile
    assert there.look().changes == ()
    there.start("close")  # stronger, and over again before the gate
    there.align()
    there.in_force.popitem()
    there.align()
    assert there.rule == meanwhile
    del there.in_force[measure]
    there.align()
    assert (there.levels, there.rule, there.holds) == (START, before, {})


def test_a_gate_taken_away_by_hand_is_set_again_twice_then_left_alone() -> None:
    there = Simulated()
    there.start("gate")
    there.align()
    for rule in ("knock", "knock", "public"):
        there.rule = {"join_rule": "public"}
        there.align()
        assert there.rule == {"join_rule": rule}


# What is beyond the bot.


@pytest.mark.parametrize("kind", ["suspend", "close", "gate"])
def test_without_the_power_it_is_said_once_and_never_written(kind: str) -> None:
    levels = {**copy.deepcopy(START), "users": {OLGA: 100, BOT: 40, MARK: 50}}
    there = Simulated(levels=copy.deepcopy(levels))
    there.start(kind)
    assert set(there.align().impossible) >= {(ITSELF, kind)}
    assert (there.levels, there.holds) == (levels, {})


def test_where_the_bot_has_lost_its_power_it_says_that_it_cannot_give_back() -> None:
    there = Simulated()
    measure = there.start("suspend")
    there.align()
    there.by_hand(users={**START["users"], BOT: 0})
    del there.in_force[measure]
    assert there.align().impossible == ((ITSELF, "reopen"),)
    there.by_hand(users=START["users"])
    there.align()
    assert (there.levels, there.holds) == (START, {})


# Changes by hand.


@given(st.lists(st.sampled_from([0, 10, 25, 70]), max_size=8))
def test_a_room_changed_by_hand_is_set_again_twice_then_left_alone(hands: list[int]) -> None:
    there = Simulated()
    measure = there.start("suspend")
    there.align()
    changed = 0
    for level in hands:
        changed += level != there.levels["events_default"]
        there.by_hand(events_default=level)
        there.align()
        assert there.look() == Alignment()
    there_now = there.levels["events_default"]
    assert there.told == [("posting", "corrected")] * min(changed, MAX_CORRECTIONS) + [("posting", "overruled")] * (
        changed > MAX_CORRECTIONS
    )
    del there.in_force[measure]
    there.align()
    assert there.levels["events_default"] == (there_now if changed > MAX_CORRECTIONS else 0)
    assert there.holds == {}
    assert "m.room.redaction" not in there.levels["events"]


def test_a_bypass_by_hand_is_closed_and_restored() -> None:
    there = Simulated()
    measure = there.start("suspend")
    there.align()
    there.by_hand(events={**there.levels["events"], "m.room.message": 0})
    there.align()
    assert there.can_post() == set(MANAGERS)
    del there.in_force[measure]
    there.align()
    assert there.levels["events"] == {**START["events"], "m.room.message": 0}


# Together with sanctions against people.


def test_one_write_for_people_and_room_and_a_mute_stays_what_it_was() -> None:
    levels = {**copy.deepcopy(START), "events_default": -5}  # where a mute must be lower than usual
    there = Simulated(levels=copy.deepcopy(levels))
    mute = there.start("mute", ANNA)
    there.align()
    assert there.levels["users"][ANNA] == -6
    measure = there.start("suspend")
    found = there.align()
    assert found.levels == {}
    assert there.levels["users"][ANNA] == -6
    del there.in_force[measure]
    there.align()
    assert ANNA not in there.can_post()
    del there.in_force[mute]
    there.align()
    assert (there.levels, there.holds) == (levels, {})


moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("start"), st.sampled_from(["suspend", "close", "rectify", "gate", "lockdown", "mute", "demote"])
        ),
        st.tuples(st.just("end"), st.integers(0, 3)),
        st.tuples(st.just("align"), st.sampled_from(["no", "before", "after"])),
    ),
    max_size=16,
)


def lived(there: Simulated, steps: list[tuple[Any, Any]]) -> None:
    for what, how in steps:
        if what == "start":
            there.start(how, MARK if how == "demote" else ANNA if how == "mute" else OLGA)
        elif what == "end" and there.in_force:
            del there.in_force[sorted(there.in_force)[how % len(there.in_force)]]
        elif what == "align":
            there.align(how)


def muted(there: Simulated) -> set[tuple[str, UserId]]:
    return {(each.kind, each.subject) for each in there.in_force.values() if each.kind == "mute"}


def should_post(there: Simulated) -> set[UserId]:
    kinds = {(each.kind, each.subject) for each in there.in_force.values()}
    measures = {kind for kind, _ in kinds}
    suspended = bool(measures & {"suspend", "lockdown"})
    able = {OLGA} if "close" in measures else set(MANAGERS) if suspended else set(PEOPLE)
    if suspended and ("demote", MARK) in kinds:
        able -= {MARK}
    return able - ({ANNA} if ("mute", ANNA) in kinds else set())


@settings(max_examples=tried(400))
@given(moves)
def test_every_alignment_restores_what_should_hold_after_any_interruption(steps: list[Any]) -> None:
    there = Simulated()
    lived(there, steps)
    there.align()
    assert there.can_post() == should_post(there)
    assert there.look() == Alignment()
    kinds = {each.kind for each in there.in_force.values()}
    gated = bool(kinds & {"gate", "lockdown"})
    assert there.rule == {"join_rule": "invite" if "close" in kinds else "knock" if gated else "public"}
    assert {user for user in PEOPLE if there.power.level(user) >= there.power.invite} >= set(MANAGERS[1:])
    assert (there.power.level(ANNA) >= there.power.invite) == (not gated and ("mute", ANNA) not in muted(there))
    there.in_force.clear()
    there.align()
    assert (there.levels, there.rule, there.holds, there.told) == (START, {"join_rule": "public"}, {}, [])


@given(
    moves,
    st.dictionaries(st.sampled_from([*PEOPLE, BOT]), st.integers(-10, 110)),
    st.dictionaries(st.sampled_from([*SILENCED, "m.room.redaction"]), st.integers(-10, 110)),
    st.dictionaries(
        st.sampled_from(["events_default", "users_default", "ban", "kick", "redact", "invite"]), st.integers(-10, 110)
    ),
    st.sampled_from(["11", "12"]),
)
def test_in_a_room_with_any_levels_nothing_forbidden_is_asked_and_roles_stay(
    steps: list[Any], users: dict[UserId, int], events: dict[str, int], more: dict[str, int], version: str
) -> None:
    there = Simulated(levels={**more, "users": users, "events": events}, version=version)
    roles = {user: there.power.role(user) for user in PEOPLE}
    measures = [(what, how) for what, how in steps if how not in ("mute", "demote")]
    lived(there, measures)  # the simulated homeserver asserts that it is allowed
    assert {user: there.power.role(user) for user in PEOPLE} == roles
    there.in_force.clear()
    there.align()
    assert replace(there.power, named=frozenset()) == replace(
        Simulated(levels={**more, "users": users, "events": events}, version=version).power, named=frozenset()
    )
