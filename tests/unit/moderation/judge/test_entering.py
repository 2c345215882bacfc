"""The door: only what is in force keeps people out, and those who run the room can open it."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.judge.entering import KeptOut, kept_out
from moderation.model.context import InForce, PersonView, VerificationInForce
from moderation.policy import Policy
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, BOT, DAY, HOUR, MARK, NOON, OLGA, OPERA, OTHER, ROOM, context, person
from tests.unit.moderation.builders import policy as policy_of
from tests.unit.moderation.builders import room as room_of

BEN = UserId("@ben:example.org")
NOTHING = policy_of()
GATE = InForce(7, "gate", ROOM, UserId(""), NOON + HOUR, "rule")
CLOSE = replace(GATE, kind="close", until=0)
BAN = InForce(8, "ban", ROOM, ANNA, NOON + DAY, "rule", n=3)
VERIFIED: dict[str, Any] = {"verification": {"write": 1, "below": "gate"}}


def out(
    who: PersonView | UserId = ANNA,
    *measures: InForce,
    by: UserId | None = None,
    policy: Policy = NOTHING,
    **here: Any,
) -> KeptOut | None:
    return kept_out(context(who, here=room_of(**here)), measures, by, policy)


def banned(*bans: InForce) -> PersonView:
    return person(ANNA, in_force=bans)


def test_nobody_is_kept_out_of_an_open_room() -> None:
    assert out() is None


@pytest.mark.parametrize(("measure", "until"), [(GATE, NOON + HOUR), (CLOSE, 0)])
def test_a_measure_that_shuts_a_room_keeps_strangers_out(measure: InForce, until: int) -> None:
    assert out(ANNA, measure) == KeptOut("shut", until)


@pytest.mark.parametrize("kind", ["suspend", "slow", "server"])
def test_other_measures_of_a_room_keep_nobody_out(kind: Any) -> None:
    assert out(ANNA, replace(GATE, kind=kind)) is None


@pytest.mark.parametrize("by", [OLGA, MARK, BOT, OPERA])
def test_an_invitation_by_those_who_run_the_room_opens_the_door(by: UserId) -> None:
    assert out(ANNA, GATE, by=by) is None
    assert out(ANNA, by=by, policy=policy_of(**VERIFIED)) is None


@pytest.mark.parametrize("by", [None, ANNA, BEN])
def test_an_invitation_by_a_member_opens_nothing(by: UserId | None) -> None:
    assert out(ANNA, GATE, by=by) == KeptOut("shut", NOON + HOUR)


@pytest.mark.parametrize("who", [BOT, OPERA, OLGA, MARK])
def test_those_who_run_a_room_are_not_kept_out(who: UserId) -> None:
    assert out(person(who, in_force=(replace(BAN, subject=who),)), GATE, policy=policy_of(**VERIFIED)) is None


def test_a_ban_keeps_out_whoever_invites() -> None:
    assert out(banned(BAN), by=OLGA) == KeptOut("banned", NOON + DAY)


def test_the_ban_of_another_account_of_the_person_keeps_out() -> None:
    assert out(banned(replace(BAN, subject=BEN))) == KeptOut("banned", NOON + DAY)


def test_the_longest_ban_is_told_and_one_without_an_end_is_the_longest() -> None:
    longer = replace(BAN, record=9, until=NOON + 2 * DAY)
    assert out(banned(longer, BAN)) == KeptOut("banned", NOON + 2 * DAY)
    assert out(banned(longer, replace(BAN, until=0))) == KeptOut("banned", 0)


def test_a_ban_of_another_room_and_a_mute_keep_nobody_out() -> None:
    assert out(banned(replace(BAN, room=OTHER), replace(BAN, kind="mute"))) is None


def test_a_gated_room_keeps_out_who_is_not_verified() -> None:
    assert out(policy=policy_of(**VERIFIED)) == KeptOut("unverified")
    proof = VerificationInForce("roster", 2, NOON + DAY)
    assert out(person(ANNA, proofs=(proof,)), policy=policy_of(**VERIFIED)) is None


def test_a_room_in_which_the_bot_cannot_act_asks_for_no_verification_at_the_door() -> None:
    assert out(policy=policy_of(**VERIFIED), condition="observing") is None


@pytest.mark.parametrize("here", [{"condition": "left"}, {"condition": "announced"}, {"purpose": "desk"}])
def test_a_room_that_is_not_served_keeps_nobody_out(here: dict[str, Any]) -> None:
    assert out(banned(BAN), GATE, policy=policy_of(**VERIFIED), **here) is None
