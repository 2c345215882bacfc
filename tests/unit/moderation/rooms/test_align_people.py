"""Sanctions in a simulated room: they take effect, and afterwards everything is as it was."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.model.context import InForce
from moderation.rooms.align_people import MAX_CORRECTIONS, Alignment, Change, RoomPicture, align
from moderation.values.ids import UserId
from tests.examples import tried
from tests.unit.moderation.builders import ANNA, BOT, MARK, MINA, NOON, OLGA
from tests.unit.moderation.rooms.aligned_room import CREATOR, AlignedRoom

BEN = UserId("@ben:example.org")
START: dict[str, Any] = {"users": {OLGA: 100, BOT: 100, MARK: 50, MINA: 60, BEN: 10}, "notifications": {"room": 50}}
WITHIN_REACH = (ANNA, BEN, MARK, MINA)
KINDS = ("mute", "demote", "ban")


@dataclass
class Simulated(AlignedRoom):
    """A room of a homeserver."""

    levels: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(START))
    members: dict[UserId, str] = field(
        default_factory=lambda: dict.fromkeys((*WITHIN_REACH, OLGA, CREATOR, BOT), "join")
    )

    def start(self, user: UserId, kind: Any) -> int:
        self.started += 1
        self.in_force[self.started] = InForce(self.started, kind, None, user, NOON, "rule")
        return self.started

    def end(self, record: int) -> None:
        self.in_force.pop(record, None)

    def look(self) -> Alignment:
        return align(RoomPicture(self.power, self.members, BOT, self.holds), self.in_force.values())

    def by_hand(self, user: UserId, level: int | None) -> None:
        users = {each: entry for each, entry in self.levels["users"].items() if each != user}
        self.levels = {**self.levels, "users": users if level is None else {**users, user: level}}

    def kinds(self, user: UserId) -> set[str]:
        return {sanction.kind for sanction in self.in_force.values() if sanction.subject == user}

    def write(self, found: Alignment) -> None:
        for user, level in found.levels.items():
            assert self.power.can_set_level(BOT, user, level)
        if found.levels:
            self.levels = self.power.with_levels(self.levels, found.levels)
        for change in found.changes:
            if change.write and change.what == "ban":
                lift = change.step == "released"
                assert self.power.can_unban(BOT, change.user) if lift else self.power.can_ban(BOT, change.user)
                self.members[change.user] = "leave" if lift else "ban"

    def subject_of(self, change: Change) -> str:
        return change.user


def assert_holds(there: Simulated) -> None:
    """Check that sanctions are in effect for everybody over whom the bot has power."""
    power = there.power
    for user in WITHIN_REACH:
        kinds = there.kinds(user)
        if "ban" in kinds:  # who is out already is banned when they come
            assert there.members[user] in ("ban", "leave")
        else:
            assert there.members[user] != "ban"
        if "mute" in kinds and there.members[user] == "join":
            assert not power.can_send(user, "m.room.message")
        if "demote" in kinds:
            assert power.role(user) == "member"
        if not kinds:
            assert power.users.get(user) == START["users"].get(user)


# One thing at a time.


def test_a_mute_and_its_end() -> None:
    there = Simulated()
    mute = there.start(ANNA, "mute")
    assert there.align() == Alignment((Change(ANNA, "level", "held", "-", "-1", True),))
    assert there.levels["users"] == {**START["users"], ANNA: -1}
    there.end(mute)
    assert there.align() == Alignment((Change(ANNA, "level", "released", "-", "-1", True),))
    assert (there.levels, there.holds) == (START, {})


def test_a_demotion_and_its_end() -> None:
    there = Simulated()
    demotion = there.start(MARK, "demote")
    assert there.align() == Alignment((Change(MARK, "level", "held", "50", "-", True),))
    assert MARK not in there.levels["users"]
    there.end(demotion)
    assert there.align() == Alignment((Change(MARK, "level", "released", "50", "-", True),))
    assert (there.levels, there.holds) == (START, {})


def test_a_ban_and_its_end() -> None:
    there = Simulated()
    ban = there.start(ANNA, "ban")
    assert there.align() == Alignment((Change(ANNA, "ban", "held", "-", "ban", True),))
    assert there.members[ANNA] == "ban"
    there.end(ban)
    assert there.align() == Alignment((Change(ANNA, "ban", "released", "-", "ban", True),))
    assert (there.members[ANNA], there.holds) == ("leave", {})


def test_a_demotion_takes_nothing_from_a_member() -> None:
    there = Simulated()
    there.start(ANNA, "demote")
    there.start(BEN, "demote")
    assert there.align() == Alignment()


def test_a_manager_of_a_room_in_which_members_cannot_post_is_demoted_all_the_same() -> None:
    there = Simulated(levels={**copy.deepcopy(START), "events_default": 60})
    there.start(MARK, "demote")
    there.align()
    assert there.power.role(MARK) == "member"


def test_a_mute_applies_on_return() -> None:
    there = Simulated()
    there.members[ANNA] = "leave"
    there.start(ANNA, "mute")
    assert there.align() == Alignment()
    there.members[ANNA] = "join"
    assert [change.what for change in there.align().changes] == ["level"]


def test_a_former_member_can_be_banned() -> None:
    there = Simulated()
    there.members[ANNA] = "leave"
    there.start(ANNA, "ban")
    assert [change.what for change in there.align().changes] == ["ban"]


def test_a_ban_set_by_hand_is_not_lifted_when_ours_ends() -> None:
    there = Simulated()
    there.members[ANNA] = "ban"
    ban = there.start(ANNA, "ban")
    assert there.align() == Alignment()
    there.end(ban)
    assert there.align() == Alignment()
    assert there.members[ANNA] == "ban"


def test_a_mute_set_by_hand_is_not_lifted_when_ours_ends() -> None:
    there = Simulated()
    there.by_hand(ANNA, -1)
    mute = there.start(ANNA, "mute")
    assert there.align() == Alignment()
    there.end(mute)
    assert there.align() == Alignment()
    assert there.levels["users"][ANNA] == -1


def test_a_manager_who_is_banned_is_muted_and_demoted_in_one_step() -> None:
    there = Simulated()
    there.start(MARK, "ban")
    there.align()
    there.start(MARK, "mute")
    there.start(MARK, "demote")
    there.align()
    assert there.look() == Alignment()
    assert there.levels["users"][MARK] == -1


# What is beyond the bot.


@pytest.mark.parametrize(
    ("version", "user", "kind"),
    [("12", CREATOR, kind) for kind in KINDS] + [("11", OLGA, kind) for kind in KINDS],
)
def test_a_forbidden_change_is_reported_and_not_written(version: str, user: UserId, kind: str) -> None:
    there = Simulated(version=version)
    there.start(user, kind)
    before = copy.deepcopy(there.levels)
    assert there.align() == Alignment(impossible=((user, kind),))
    assert (there.levels, there.holds) == (before, {})


def test_where_the_bot_has_lost_its_power_it_says_that_it_cannot_give_back() -> None:
    there = Simulated()
    demotion, ban = there.start(MARK, "demote"), there.start(ANNA, "ban")
    there.align()
    there.by_hand(BOT, 0)
    there.end(demotion)
    there.end(ban)
    assert set(there.align().impossible) == {(MARK, "restore"), (ANNA, "unban")}
    there.by_hand(BOT, 100)
    there.align()
    assert (there.levels["users"], there.members[ANNA]) == (START["users"], "leave")


# Changes by hand.


def test_a_level_changed_by_hand_is_set_again_twice_and_then_left_alone_for_good() -> None:
    there = Simulated()
    demotion = there.start(MARK, "demote")
    there.align()
    for level in (50, 60):
        there.by_hand(MARK, level)
        there.align()
        assert MARK not in there.levels["users"]
    there.by_hand(MARK, 70)
    there.align()
    assert there.levels["users"][MARK] == 70
    assert there.told == [(MARK, "corrected")] * MAX_CORRECTIONS + [(MARK, "overruled")]
    assert there.align() == Alignment()
    there.end(demotion)
    there.align()
    assert there.levels["users"][MARK] == 70  # not ours any more
    assert there.holds == {}


def test_a_ban_lifted_by_hand_is_set_again_twice_and_then_left_alone_for_good() -> None:
    there = Simulated()
    ban = there.start(ANNA, "ban")
    there.align()
    for _ in range(MAX_CORRECTIONS):
        there.members[ANNA] = "leave"
        there.align()
        assert there.members[ANNA] == "ban"
    there.members[ANNA] = "leave"
    there.align()
    assert there.members[ANNA] == "leave"
    assert there.told == [(ANNA, "corrected")] * MAX_CORRECTIONS + [(ANNA, "overruled")]
    there.members[ANNA] = "ban"  # by hand
    there.align()
    there.end(ban)
    there.align()
    assert there.members[ANNA] == "ban"


def test_a_level_changed_by_hand_and_a_sanction_that_ends_leave_the_level_of_the_hand() -> None:
    there = Simulated()
    demotion = there.start(MARK, "demote")
    there.align()
    there.by_hand(MARK, 25)
    there.end(demotion)
    assert there.align() == Alignment((Change(MARK, "level", "released", "50", "-", False),))
    assert there.levels["users"][MARK] == 25


@given(
    st.sampled_from([MARK, MINA, ANNA]),
    st.sampled_from(["mute", "demote"]),
    st.lists(st.sampled_from([None, 5, 50, 70]), max_size=8),
)
def test_however_often_a_level_is_changed_by_hand_it_is_corrected_twice_at_most(
    user: UserId, kind: str, levels: list[int | None]
) -> None:
    there = Simulated()
    there.start(user, kind)
    there.align()
    for level in levels:
        there.by_hand(user, level)
        there.align()
        assert not there.look().changes
    assert there.told.count((user, "corrected")) <= MAX_CORRECTIONS
    assert there.told.count((user, "overruled")) <= 1


# Over histories.

moves = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from(WITHIN_REACH), st.sampled_from(KINDS)),
        st.tuples(st.just("end"), st.integers(0, 3), st.just("")),
        st.tuples(st.just("align"), st.just(""), st.sampled_from(["no", "before", "after"])),
    ),
    max_size=16,
)


def lived(there: Simulated, steps: list[tuple[Any, Any, Any]]) -> None:
    for what, whom, how in steps:
        if what == "start":
            there.start(whom, how)
        elif what == "end" and there.in_force:
            there.end(sorted(there.in_force)[whom % len(there.in_force)])
        elif what == "align":
            there.align(how)
            if how == "no":
                assert_holds(there)


@settings(max_examples=tried(400))
@given(moves)
def test_every_alignment_restores_what_should_hold_after_any_interruption(steps: list[Any]) -> None:
    there = Simulated()
    lived(there, steps)
    there.align()
    assert_holds(there)


@given(moves)
def test_aligning_twice_changes_nothing(steps: list[Any]) -> None:
    there = Simulated()
    lived(there, steps)
    there.align()
    assert there.look() == Alignment()


@settings(max_examples=tried(400))
@given(moves, st.permutations(range(16)))
def test_when_all_sanctions_have_ended_in_any_order_the_room_is_as_it_was(steps: list[Any], order: list[int]) -> None:
    there = Simulated()
    lived(there, steps)
    for turn in order:
        if turn + 1 in there.in_force:
            there.end(turn + 1)
            there.align()
    there.in_force.clear()
    there.align()
    assert (there.levels, there.holds) == (START, {})
    assert "ban" not in there.members.values()
    assert there.told == []  # nobody changed anything by hand, so nobody is said to have


@given(moves, st.sampled_from(WITHIN_REACH), st.sampled_from([None, 0, 5, 50, 90]))
def test_a_level_set_by_hand_after_all_sanctions_stays(steps: list[Any], user: UserId, level: int | None) -> None:
    there = Simulated()
    lived(there, steps)
    there.in_force.clear()
    there.align()
    there.by_hand(user, level)
    assert there.align() == Alignment()


@given(
    moves,
    st.dictionaries(st.sampled_from([*WITHIN_REACH, OLGA, BOT]), st.integers(-10, 110)),
    st.sampled_from(["11", "12"]),
)
def test_in_a_room_with_any_levels_nothing_is_asked_that_the_rules_forbid(
    steps: list[Any], users: dict[UserId, int], version: str
) -> None:
    there = Simulated(levels={"users": users}, version=version)
    for what, whom, how in steps:  # the simulated homeserver asserts that it is allowed
        if what == "start":
            there.start(whom, how)
        elif what == "align":
            there.align(how)
