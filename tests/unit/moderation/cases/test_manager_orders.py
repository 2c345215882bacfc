"""Orders of a manager against somebody by command: the facts, and the refusals."""

from typing import Any

import pytest

from moderation.cases import manager_orders
from moderation.cases.manager_orders import Order
from moderation.model.context import InForce
from moderation.model.facts import CaseOpened, PersonVerified, SanctionEnded, SanctionKind, SanctionStarted
from moderation.values.errors import Refused
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    LEVELS,
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

POLICY = policy()


def order(by: UserId = MARK, target: UserId = ANNA, *held: InForce, levels: Any = LEVELS) -> Order:
    return Order(by=by, on=7, context=context(person(target, in_force=held), here=room(levels=levels)), policy=POLICY)


def held(kind: SanctionKind, basis: str = "command", where: Any = ROOM, record: int = 5) -> InForce:
    return InForce(record, kind, where, ANNA, NOON + HOUR, basis, 2)


def refused(call: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(Refused) as error:
        call(*args, **given)
    return error.value.key


@pytest.mark.parametrize("kind", ["mute", "kick", "ban", "warn"])
@pytest.mark.parametrize("by", [MARK, OLGA, OPERA])
def test_an_order_is_a_decided_case_and_a_measure_with_actor_reason_and_end(
    kind: manager_orders.Ordered, by: UserId
) -> None:
    assert manager_orders.sanction(order(by), kind, until=NOON + HOUR, reason="because") == (
        CaseOpened(
            room=ROOM,
            on=7,
            n=1,
            rule="by_order",
            grade="moderate",
            decide="manager",
            state="decided",
            due=0,
            subject=ANNA,
            by=by,
            reason="because",
        ),
        SanctionStarted(
            room=ROOM,
            on=7,
            kind=kind,
            until=NOON + HOUR,
            n=1,
            basis="command",
            subject=ANNA,
            by=by,
            reason="because",
        ),
    )


@pytest.mark.parametrize("kind", ["mute", "kick", "ban", "warn"])
@pytest.mark.parametrize(
    ("by", "target", "key"),
    [
        (ANNA, UserId("@ben:example.org"), "error.right.{kind}"),
        (MARK, MINA, "error.target.above"),
        (MARK, OLGA, "error.target.above"),
        (MARK, MARK, "error.target.self"),
        (MARK, BOT, "error.target.bot"),
        (OLGA, OLGA, "error.target.self"),
    ],
)
def test_an_order_beyond_ones_own_level_is_refused(kind: SanctionKind, by: UserId, target: UserId, key: str) -> None:
    assert refused(manager_orders.sanction, order(by, target), kind) == key.format(kind=kind)


@pytest.mark.parametrize("kind", ["mute", "ban"])
def test_a_measure_in_force_is_not_ordered_again(kind: manager_orders.Ordered) -> None:
    for basis in ("rule", "command", "credit"):
        for where in (ROOM, None):
            assert (
                refused(manager_orders.sanction, order(MARK, ANNA, held(kind, basis, where)), kind)
                == f"error.already.{kind}"
            )
    assert manager_orders.sanction(order(MARK, ANNA, held(kind, where=OTHER)), kind)


def test_a_person_muted_by_hand_counts_as_muted() -> None:
    muted = {**LEVELS, "users": {**LEVELS["users"], ANNA: -1}}
    assert refused(manager_orders.sanction, order(levels=muted), "mute") == "error.already.mute"


@pytest.mark.parametrize("kind", ["mute", "ban"])
@pytest.mark.parametrize("basis", ["rule", "interim", "decision", "command"])
def test_lifting_ends_the_measures_in_this_room(kind: SanctionKind, basis: str) -> None:
    here, there = held(kind, basis), held(kind, basis, OTHER, record=6)
    assert manager_orders.lift(order(MARK, ANNA, here, there), kind) == (
        SanctionEnded(room=ROOM, on=7, start=5, kind=kind, why="command", n=2, subject=ANNA, by=MARK),
    )


@pytest.mark.parametrize("kind", ["mute", "ban"])
def test_a_measure_based_on_credit_cannot_be_lifted_by_order(kind: SanctionKind) -> None:
    by_credit = held(kind, "credit", None)
    assert refused(manager_orders.lift, order(MARK, ANNA, by_credit), kind) == "error.lift.credit"
    both = manager_orders.lift(order(MARK, ANNA, by_credit, held(kind, record=6)), kind)
    assert [fact.start for fact in both if isinstance(fact, SanctionEnded)] == [6]


def test_only_an_operator_lets_in_a_barred_person() -> None:
    barred = held("ban", "operator", None)
    assert refused(manager_orders.lift, order(OLGA, ANNA, barred), "ban") == "error.lift.operator"
    both = manager_orders.lift(order(OLGA, ANNA, barred, held("ban", record=6)), "ban")
    assert [fact.start for fact in both if isinstance(fact, SanctionEnded)] == [6]
    by_operator = manager_orders.lift(order(OPERA, ANNA, barred), "ban")
    assert [(fact.start, fact.room) for fact in by_operator if isinstance(fact, SanctionEnded)] == [(5, None)]


def test_lifting_nothing_still_requires_the_right() -> None:
    assert manager_orders.lift(order(), "mute") == ()
    assert refused(manager_orders.lift, order(ANNA, MARK), "mute") == "error.right.mute"
    assert refused(manager_orders.lift, order(ANNA, MARK), "ban") == "error.right.unban"


def test_everybody_removes_own_messages_and_managers_those_of_others() -> None:
    gone = SanctionStarted(
        room=ROOM, on=7, kind="redact", basis="command", subject=ANNA, event=EventId("$e"), by=ANNA, reason="typo"
    )
    assert manager_orders.redact(order(ANNA, ANNA), EventId("$e"), reason="typo") == (gone,)
    assert manager_orders.redact(order(MARK, OLGA), EventId("$e"))  # as in every client
    assert refused(manager_orders.redact, order(ANNA, MARK), EventId("$e")) == "error.right.redact"


def test_a_voucher_states_that_they_know_somebody_for_half_a_year() -> None:
    assert manager_orders.vouch(order(), in_force_by_voucher=49, credit=80, level=2) == (
        PersonVerified(room=ROOM, on=7, method="vouch", level=2, until=NOON + 183 * DAY, subject=ANNA, by=MARK),
    )


@pytest.mark.parametrize(
    ("by", "target", "count", "credit", "key"),
    [
        (ANNA, UserId("@ben:example.org"), 0, 100, "error.right.vouch"),
        (MARK, MARK, 0, 100, "error.target.self"),
        (MARK, BOT, 0, 100, "error.target.bot"),
        (MARK, ANNA, 0, 79, "error.vouch.credit"),
        (MARK, ANNA, 50, 100, "error.vouch.limit"),
    ],
)
def test_people_without_the_right_cannot_vouch(by: UserId, target: UserId, count: int, credit: int, key: str) -> None:
    assert refused(manager_orders.vouch, order(by, target), in_force_by_voucher=count, credit=credit, level=2) == key


@pytest.mark.parametrize(("level", "allowed"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_vouch_requires_a_voucher_of_the_same_level(level: int, allowed: bool) -> None:
    given = {"in_force_by_voucher": 0, "credit": 100, "level": level}
    if allowed:
        assert manager_orders.vouch(order(), **given)
    else:
        assert refused(manager_orders.vouch, order(), **given) == "error.vouch.level"
    assert manager_orders.vouch(order(OPERA), **given)  # somebody has to be the first
