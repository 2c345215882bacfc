"""The join rule of a gated room: people ask first, the old rule is restored, and a closed room stays closed."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.model.context import InForce
from moderation.rooms.align_people import MAX_CORRECTIONS, Alignment, KeptLevel, RoomPicture
from moderation.rooms.align_room import MORE, align, join_rule, join_rules
from moderation.values.ids import UserId
from moderation.values.power_levels import Power
from tests.unit.moderation.builders import BOT, NOON, OLGA, ROOM

ITSELF = UserId("")
LIST = [{"type": "m.room_membership", "room_id": "!desk:example.org"}]
RESTRICTED = {"join_rule": "restricted", "allow": LIST}
CLOSE = InForce(1, "close", ROOM, OLGA, NOON, "operator")
POWER = Power.of(
    {"sender": OLGA, "content": {"room_version": "11"}},
    {"users": {OLGA: 100, BOT: 100}, "events_default": 100, "events": {"m.reaction": 100}},
    bot=BOT,
)


class Simulated:
    """The join rule of a room, and the kept value for restoring it."""

    def __init__(self, rule: Mapping[str, object]) -> None:
        self.rule: dict[str, object] = dict(rule)
        self.holds: dict[tuple[UserId, str], KeptLevel] = {}
        self.steps: list[str] = []

    def align(self, *, gate: bool, closed: bool = False) -> Alignment:
        there = RoomPicture(POWER, {}, BOT, self.holds, join_rule(self.rule), gate)
        found = align(there, (CLOSE,) if closed else ())
        if found.joining:
            self.rule = join_rules(found.joining, self.rule)
        for change in (change for change in found.changes if change.what == "joining"):
            self.steps.append(change.step)
            if change.step == "released":
                self.holds.pop((ITSELF, "joining"), None)
                continue
            before = self.holds.get((ITSELF, "joining"))
            again = (before.corrections if before else 0) + (change.step == "corrected")
            step = "held" if change.step == "corrected" else change.step
            self.holds[ITSELF, "joining"] = KeptLevel(ITSELF, "joining", step, change.prior, change.held, again)
        return found


@pytest.mark.parametrize(
    ("before", "gated"),
    [
        ({"join_rule": "public"}, {"join_rule": "knock"}),
        ({"join_rule": "invite"}, {"join_rule": "knock"}),
        ({"join_rule": "restricted"}, {"join_rule": "knock"}),
        (RESTRICTED, {"join_rule": "knock_restricted", "allow": LIST}),
        ({"join_rule": "knock"}, {"join_rule": "knock"}),
        ({"join_rule": "knock_restricted", "allow": LIST}, {"join_rule": "knock_restricted", "allow": LIST}),
    ],
)
def test_people_ask_first_and_what_stood_there_is_given_back(before: dict[str, Any], gated: dict[str, Any]) -> None:
    there = Simulated(before)
    there.align(gate=True)
    assert there.rule == gated
    assert there.align(gate=True).changes == ()
    there.align(gate=False)
    assert (there.rule, there.holds) == (before, {})


@pytest.mark.parametrize("before", [{"join_rule": "public"}, RESTRICTED])
def test_a_closed_room_stays_closed_and_is_gated_again_afterwards(before: dict[str, Any]) -> None:
    there = Simulated(before)
    there.align(gate=True)
    gated = there.rule
    there.align(gate=True, closed=True)
    assert there.rule["join_rule"] == "invite"
    there.align(gate=True)
    assert there.rule == gated
    there.align(gate=True, closed=True)
    there.align(gate=False)
    assert (there.rule, there.holds) == (before, {})


def test_a_rule_that_could_not_be_given_back_is_left_alone_and_said() -> None:
    before = {"join_rule": "restricted", "allow": LIST, "more": 1}
    there = Simulated(before)
    found = there.align(gate=True)
    assert (there.rule, found.impossible) == (before, ((ITSELF, "join-rule-gate"),))
    assert join_rule(before) == MORE


def test_a_gate_changed_by_hand_is_set_again_twice_then_left_alone() -> None:
    there = Simulated({"join_rule": "public"})
    there.align(gate=True)
    for _ in range(MAX_CORRECTIONS + 2):
        there.rule = {"join_rule": "public"}
        there.align(gate=True)
    assert there.rule == {"join_rule": "public"}
    assert there.steps == ["held", "corrected", "corrected", "overruled"]
    there.align(gate=False)
    assert (there.rule, there.holds) == ({"join_rule": "public"}, {})


RULES = st.sampled_from(
    [{"join_rule": rule} for rule in ("public", "invite", "knock", "private")]
    + [RESTRICTED, {"join_rule": "knock_restricted", "allow": []}]
)


@given(RULES, st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8))
def test_the_join_rule_is_restored_in_the_end(before: dict[str, Any], moves: list[tuple[bool, bool]]) -> None:
    there = Simulated(before)
    for gate, closed in moves:
        there.align(gate=gate, closed=closed)
        if gate and not closed:
            assert str(there.rule["join_rule"]).startswith("knock")
    there.align(gate=False)
    assert (there.rule, there.holds) == (before, {})
