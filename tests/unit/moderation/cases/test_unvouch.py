"""Withdrawing a vouch: people their own, the owner those of the room's people, the operator everybody's."""

from dataclasses import replace

import pytest

from moderation.cases import manager_orders
from moderation.cases.manager_orders import Order, Vouched
from moderation.model.facts import PersonVerified
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from tests.unit.moderation.builders import (
    ANNA,
    MARK,
    MINA,
    NOON,
    OLGA,
    OPERA,
    OTHER,
    ROOM,
    context,
    person,
    policy,
    room,
)

BY_MARK = Vouched(11, ROOM, MARK, NOON + 1)
BY_MINA = Vouched(12, ROOM, MINA, NOON + 1)
ELSEWHERE = Vouched(13, OTHER, MINA, NOON + 1)
ALL = (BY_MARK, BY_MINA, ELSEWHERE)


def order(by: UserId) -> Order:
    return Order(by=by, on=7, context=context(person(ANNA), here=room()), policy=policy())


def revoked(vouch: Vouched, by: UserId, why: str = "-") -> PersonVerified:
    return PersonVerified(
        room=vouch.room,
        on=7,
        step="revoked",
        method="vouch",
        level=2,
        until=NOON,
        undoes=vouch.record,
        why=why,  # type: ignore[arg-type]
        subject=ANNA,
        by=by,
    )


@pytest.mark.parametrize(
    ("by", "theirs"), [(MARK, (BY_MARK,)), (MINA, (BY_MINA, ELSEWHERE)), (OLGA, (BY_MARK, BY_MINA)), (OPERA, ALL)]
)
def test_vouches_that_a_person_may_take_back(by: UserId, theirs: tuple[Vouched, ...]) -> None:
    facts = tuple(revoked(each, by) for each in theirs)
    assert manager_orders.unvouch(order(by), ALL, false=False) == (facts, ())


def test_an_owner_takes_back_what_counts_in_their_community() -> None:
    club, other = (Vouched(n, OTHER, MINA, NOON + 1, reach) for n, reach in ((21, "club"), (22, "G-CU5K")))
    asked = Order(by=OLGA, on=7, context=context(here=replace(room(), community="club")), policy=policy())
    facts, _ = manager_orders.unvouch(asked, (club, other, ELSEWHERE), false=False)
    assert [fact.undoes for fact in facts if isinstance(fact, PersonVerified)] == [21]


@pytest.mark.parametrize(
    ("by", "theirs", "accused"), [(OLGA, (BY_MARK, BY_MINA), (MARK, MINA)), (OPERA, ALL, (MARK, MINA))]
)
def test_each_false_vouch_is_charged_once(by: UserId, theirs: tuple[Vouched, ...], accused: tuple[UserId, ...]) -> None:
    facts = tuple(revoked(each, by, "false") for each in theirs)
    assert manager_orders.unvouch(order(by), ALL, false=True) == (facts, accused)


@pytest.mark.parametrize(
    ("by", "vouches", "false", "key"),
    [
        (MARK, (), False, "error.unvouch.none"),
        (ANNA, ALL, False, "error.unvouch.others"),
        (MARK, (BY_MINA,), False, "error.unvouch.others"),
        (OLGA, (ELSEWHERE,), True, "error.unvouch.others"),
        (MARK, (BY_MARK,), True, "error.unvouch.false"),
        (OLGA, (Vouched(14, ROOM, OLGA, NOON + 1),), True, "error.unvouch.own"),
    ],
)
def test_wrong_orders_are_refused(by: UserId, vouches: tuple[Vouched, ...], false: bool, key: str) -> None:
    with pytest.raises(Refused) as refused:
        manager_orders.unvouch(order(by), vouches, false=false)
    assert refused.value.key == key
