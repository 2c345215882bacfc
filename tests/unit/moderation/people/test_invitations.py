"""People whose invitations the bot refuses."""

from collections.abc import Mapping
from typing import Any

import pytest

from moderation.model.context import InForce, PersonView
from moderation.people.invitations import Declined, is_refused, reason_to_decline
from moderation.values.ids import GroupCode, UserId
from tests.unit.moderation.builders import ANNA, CODE, DAY, NOON, OLGA, OPERA, ROOM, entry, person, policy

POLICY = policy()
OTHER = UserId("@olga2:example.org")
CLOSED = {GroupCode(CODE): frozenset({OLGA})}


def banned(user: UserId = ANNA, where: Any = None, basis: str = "operator") -> InForce:
    return InForce(5, "ban", where, user, NOON + DAY, basis, 3)


def asked(someone: PersonView, closed: Mapping[GroupCode, frozenset[UserId]] | None = None) -> Declined | None:
    return reason_to_decline(someone, closed or {}, POLICY, NOON)


@pytest.mark.parametrize("basis", ["operator", "credit"])
def test_somebody_who_is_barred_is_declined_by_whichever_account_until_the_ban_ends(basis: str) -> None:
    barred = person(in_force=(banned(OTHER, basis=basis),))
    assert asked(barred) == Declined("barred", barred, until=NOON + DAY)


def test_a_ban_from_one_room_is_no_reason() -> None:
    assert asked(person(in_force=(banned(where=ROOM),))) is None


@pytest.mark.parametrize(("cost", "why"), [(80, None), (81, "credit")])
def test_credit_in_tier_e_is_a_reason(cost: int, why: str | None) -> None:
    found = asked(person(entries=(entry(1, cost, NOON - DAY),)))
    assert (found.why if found else None) == why


def test_the_owner_of_a_closed_group_is_declined_also_with_a_second_account() -> None:
    olga = person(OLGA)
    second = person(OTHER, accounts=frozenset({OTHER, OLGA}))
    assert asked(olga, CLOSED) == Declined("closed", olga, group=CODE)
    assert asked(second, CLOSED) == Declined("closed", second, group=CODE)
    assert asked(person(), CLOSED) is None
    assert asked(olga, {GroupCode(CODE): frozenset()}) is None


def test_operators_are_asked_for_nothing() -> None:
    assert asked(person(OPERA, in_force=(banned(OPERA),))) is None


@pytest.mark.parametrize(
    ("names", "refused"),
    [(["G-7F3K"], True), (["!old:example.org"], True), (["#spam-two:example.org"], True), (["!new", "G-2222"], False)],
)
def test_groups_are_named_by_id_alias_or_code(names: list[str], refused: bool) -> None:
    known = policy(groups={"refused": ["G-7F3K", "!old:example.org", "#spam-*:example.org"]})
    assert is_refused(names, known) is refused
    assert not is_refused(names, POLICY)
