"""Measures against rooms: by neglect, by order, and how they end."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.duty.duty import Duty
from moderation.model.actions.telling import Say
from moderation.model.builtin_rules import BY_ORDER, NEGLECT, ROOM_ORDER
from moderation.model.context import InForce
from moderation.model.facts import (
    CaseOpened,
    Fact,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
    TaskOpened,
)
from moderation.rooms import measures
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from tests.examples import tried
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    HOUR,
    MARK,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    in_words_of,
    policy,
    room,
)

POLICY = policy()
CLOSING = policy(groups={"close_after_suspension": True})
HERE = room()
NOBODY = UserId("")


def held(kind: SanctionKind, basis: str = "neglect", record: int = 5, until: int = NOON) -> InForce:
    own = basis == "command"
    return InForce(record, kind, ROOM, NOBODY if own else OLGA, until, basis, 0 if own else 2)


def opened(rule: str, by: UserId = NOBODY, reason: str = "", n: int = 9, **other: Any) -> CaseOpened:
    given: dict[str, Any] = {"asked": "operator", "grade": "serious", **other}
    return CaseOpened(
        room=ROOM,
        on=7,
        n=n,
        rule=rule,
        decide="manager" if by else "auto",
        state="decided",
        due=0,
        manages=1,
        subject=OLGA,
        by=by,
        reason=reason,
        **given,
    )


def started(kind: SanctionKind, until: int, basis: Any = "neglect", by: UserId = NOBODY, reason: str = "") -> Fact:
    rule = {"neglect": NEGLECT, "operator": ROOM_ORDER, "command": BY_ORDER}[basis]
    n, subject = (0, NOBODY) if basis == "command" else (9, OLGA)
    return SanctionStarted(
        room=ROOM, on=7, kind=kind, until=until, n=n, basis=basis, rule=rule, subject=subject, by=by, reason=reason
    )


def ended(measure: InForce, why: Any, by: UserId = NOBODY) -> Fact:
    return SanctionEnded(
        room=ROOM,
        on=7,
        start=measure.record,
        kind=measure.kind,
        why=why,
        n=measure.n,
        subject=measure.subject,
        by=by,
    )


def asked(n: int) -> Fact:
    return TaskOpened(room=ROOM, on=7, task="room", n=n, subject=OLGA)


def neglected(*in_force: InForce) -> tuple[Fact, ...]:
    return measures.rectify_neglected_room(
        room=HERE, in_force=in_force, owner=OLGA, n=9, now_ms=NOON, policy=POLICY, on=7
    )


def due(sanction: InForce, *others: InForce, waiting: int = 1, by: Any = POLICY) -> tuple[Fact, ...]:
    return measures.due(
        sanction=sanction,
        room=HERE,
        in_force=(sanction, *others),
        owner=OLGA,
        n=9,
        waiting=waiting,
        now_ms=NOON,
        policy=by,
        on=7,
    )


def order(kind: SanctionKind, by: UserId, *in_force: InForce, here: Any = HERE, until: int = 0) -> tuple[Fact, ...]:
    return measures.order(
        kind,
        by=by,
        room=here,
        in_force=in_force,
        owner=OLGA,
        n=9,
        until=until,
        reason="because",
        policy=POLICY,
        on=7,
    )


def lift(by: UserId, *in_force: InForce, kinds: Any = ("suspend", "close"), deed: Any = "reopen") -> tuple[Fact, ...]:
    return measures.lift(kinds, by=by, room=HERE, in_force=in_force, policy=POLICY, on=7, deed=deed)


def refused(call: Any, *args: Any, **given: Any) -> tuple[str, Any]:
    with pytest.raises(Refused) as error:
        call(*args, **given)
    return error.value.key, dict(error.value.fields)


# Neglect.


def test_a_neglected_room_is_to_be_put_in_order_by_a_date_and_the_operator_is_asked() -> None:
    assert neglected() == (opened(NEGLECT), started("rectify", NOON + 72 * HOUR), asked(9))


@pytest.mark.parametrize("basis", ["neglect", "operator"])
@pytest.mark.parametrize("kind", ["rectify", "suspend", "close"])
def test_where_a_measure_holds_already_neglect_brings_no_other(kind: SanctionKind, basis: str) -> None:
    assert neglected(held(kind, basis)) == ()


def test_nobody_escapes_by_closing_the_room_themselves_or_by_a_wave() -> None:
    assert neglected(held("close", "command"), held("suspend", "command")) == neglected()
    assert neglected(held("gate", "rule"), held("close", "rule")) == neglected()


def test_once_nothing_waits_the_measure_ends_with_its_time() -> None:
    for kind in ("rectify", "suspend"):
        measure = held(kind)
        assert due(measure, waiting=0) == (ended(measure, "time"),)


def test_a_room_not_put_in_order_is_suspended() -> None:
    rectify = held("rectify")
    expected = (ended(rectify, "overtaken"), opened(NEGLECT), started("suspend", NOON + 7 * DAY))
    assert due(rectify) == expected


def test_the_suspension_takes_the_place_of_one_by_command_but_not_of_the_operators() -> None:
    rectify, by_command, by_operator = held("rectify"), held("suspend", "command", 6), held("suspend", "operator", 6)
    assert due(rectify, by_command)[:2] == (ended(rectify, "overtaken"), ended(by_command, "overtaken"))
    assert due(rectify, by_operator) == (ended(rectify, "overtaken"), asked(2))


def test_after_the_suspension_the_operator_is_asked_again_or_the_room_is_closed_as_the_settings_say() -> None:
    suspend = held("suspend")
    longer = SanctionExtended(room=ROOM, on=7, start=5, kind="suspend", until=NOON + 7 * DAY, subject=OLGA)
    assert due(suspend) == (longer, asked(2))
    assert due(suspend, by=CLOSING) == (ended(suspend, "overtaken"), opened(NEGLECT), started("close", 0))
    assert due(suspend, held("close", "operator", 6), by=CLOSING) == (longer, asked(2))
    closed = held("close", "command", 6)
    assert due(suspend, closed, by=CLOSING)[:2] == (ended(closed, "overtaken"), ended(suspend, "overtaken"))


def test_when_the_last_case_is_decided_what_rests_on_neglect_ends_but_a_closed_room_stays_closed() -> None:
    rectify, suspend, close = held("rectify"), held("suspend", record=6), held("close", record=7)
    others = (held("suspend", "operator", 8), held("close", "command", 9))
    found = measures.end_neglect_measures(in_force=(rectify, suspend, close, *others), on=7)
    assert found == (ended(rectify, "mended"), ended(suspend, "mended"))


@pytest.mark.parametrize("basis", ["operator", "command"])
def test_an_ordered_measure_ends_at_its_time(basis: str) -> None:
    for kind in ("suspend", "close"):
        measure = held(kind, basis)
        assert due(measure, waiting=3) == (ended(measure, "time"),)


def test_whether_an_operators_order_to_rectify_was_followed_the_operator_is_asked() -> None:
    measure = held("rectify", "operator")
    assert due(measure) == (ended(measure, "time"), asked(2))


# Orders.


@pytest.mark.parametrize("kind", ["rectify", "suspend", "close"])
def test_an_operators_order_is_a_case_and_a_measure_with_who_why_and_until_when(kind: Any) -> None:
    assert order(kind, OPERA, until=NOON + HOUR) == (
        opened(ROOM_ORDER, OPERA, "because"),
        started(kind, NOON + HOUR, "operator", OPERA, "because"),
    )


@pytest.mark.parametrize(("kind", "by"), [("suspend", MARK), ("slow", MARK), ("suspend", OLGA), ("close", OLGA)])
def test_an_order_by_room_managers_is_a_measure_without_a_case(kind: Any, by: UserId) -> None:
    assert order(kind, by, until=NOON + HOUR) == (started(kind, NOON + HOUR, "command", by, "because"),)


def test_an_order_by_room_managers_is_announced_once_in_the_room_only() -> None:
    begun = order("slow", MARK, until=NOON + HOUR)
    over = lift(MARK, replace(held("slow", "command"), record=3), kinds=("slow",), deed="slow")
    for facts in (begun, over):
        assert [type(each) for each in in_words_of(facts, lambda _: (ROOM,))] == [Say]


@pytest.mark.parametrize(
    ("kind", "by", "key"),
    [
        ("suspend", ANNA, "error.right.readonly"),
        ("close", ANNA, "error.right.close"),
        ("close", MARK, "error.right.close"),
        ("rectify", OLGA, "error.right.close"),
    ],
)
def test_an_order_beyond_ones_right_is_refused(kind: Any, by: UserId, key: str) -> None:
    assert refused(order, kind, by) == (key, {"room": ROOM})


@pytest.mark.parametrize("basis", ["neglect", "operator", "command"])
def test_only_the_operator_replaces_a_measure_in_force(basis: str) -> None:
    there = held("suspend", basis)
    assert refused(order, "suspend", MARK, there) == ("error.in-force.suspend", {})
    assert order("suspend", OPERA, there)[0] == ended(there, "overtaken")


def test_where_the_bot_lacks_the_power_it_does_not_promise_what_it_cannot_do() -> None:
    assert refused(order, "suspend", MARK, here=room("observing")) == ("error.observed", {"room": ROOM})


def test_the_orderer_ends_a_room_measure() -> None:
    by_command = held("suspend", "command")
    assert lift(OLGA, by_command) == (ended(by_command, "command", OLGA),)
    assert lift(MARK, by_command, kinds=("suspend",), deed="readonly") == (ended(by_command, "command", MARK),)
    assert lift(OLGA) == ()
    assert refused(lift, MARK, by_command)[0] == "error.right.reopen"
    assert refused(lift, ANNA, by_command, deed="readonly")[0] == "error.right.readonly"


@pytest.mark.parametrize("basis", ["neglect", "operator"])
def test_only_the_operator_lifts_measures_by_the_operator_or_for_neglect(basis: str) -> None:
    imposed, by_command = held("suspend", basis), held("close", "command", 6)
    assert refused(lift, OLGA, imposed) == (f"error.imposed.{basis}", {"n": 2})
    assert lift(OLGA, imposed, by_command) == (ended(by_command, "command", OLGA),)
    assert lift(OPERA, imposed, by_command) == (
        ended(imposed, "command", OPERA),
        ended(by_command, "command", OPERA),
    )


def test_who_answers_for_a_room() -> None:
    anna_and_olga = Duty(owners=(ANNA, OLGA), away=frozenset({ANNA}))
    assert measures.answers_for(anna_and_olga) == OLGA
    assert measures.answers_for(anna_and_olga, ANNA) == ANNA
    assert measures.answers_for(anna_and_olga, OPERA) == OLGA
    assert measures.answers_for(Duty(owners=(ANNA,), away=frozenset({ANNA}))) == ANNA
    assert measures.answers_for(Duty()) == ""


# Over histories.

KINDS: tuple[SanctionKind, ...] = ("rectify", "suspend", "close")
moves = st.lists(
    st.one_of(
        st.tuples(st.just("neglected"), st.just(""), st.just("")),
        st.tuples(st.just("due"), st.integers(0, 2), st.integers(0, 1)),
        st.tuples(st.just("mended"), st.just(""), st.just("")),
        st.tuples(st.just("order"), st.sampled_from(KINDS), st.sampled_from([MARK, OLGA, OPERA])),
        st.tuples(st.just("lift"), st.sampled_from(["readonly", "reopen"]), st.sampled_from([MARK, OLGA, OPERA])),
    ),
    max_size=20,
)


class Room:
    """The measures in force in one room, as `storage/projections/` keeps them; checks every fact."""

    def __init__(self) -> None:
        self.in_force: dict[int, InForce] = {}
        self.cases: set[int] = set()
        self.next = 1

    def apply(self, facts: tuple[Fact, ...]) -> None:
        for fact in facts:
            self.next += 1
            match fact:
                case CaseOpened():
                    assert fact.n not in self.cases
                    self.cases.add(fact.n)
                case SanctionStarted():
                    assert fact.n in self.cases or (fact.basis, fact.n, fact.subject) == ("command", 0, NOBODY)
                    assert fact.kind not in {each.kind for each in self.in_force.values()}
                    made = InForce(self.next, fact.kind, ROOM, fact.subject, fact.until, fact.basis, fact.n)
                    self.in_force[self.next] = made
                case SanctionEnded():
                    assert self.in_force.pop(fact.start).kind == fact.kind
                case SanctionExtended():
                    assert self.in_force[fact.start].kind == fact.kind

    def step(self, what: str, how: Any, who: Any, by: Any) -> tuple[Fact, ...]:
        there, n = tuple(self.in_force.values()), max(self.cases, default=0) + 1
        known: dict[str, Any] = {"room": HERE, "in_force": there, "policy": by, "on": 7}
        fresh: dict[str, Any] = {"owner": OLGA, "n": n}
        match what:
            case "neglected":
                return measures.rectify_neglected_room(**known, **fresh, now_ms=NOON)
            case "due" if there:
                over = there[how % len(there)]
                return measures.due(sanction=over, **known, **fresh, waiting=who, now_ms=NOON)
            case "mended":
                return measures.end_neglect_measures(in_force=there, on=7)
            case "order":
                return measures.order(how, by=who, **known, **fresh, until=NOON, reason="")
            case "lift":
                kinds: tuple[SanctionKind, ...] = ("suspend",) if how == "readonly" else KINDS
                return measures.lift(kinds, by=who, **known, deed=how)
        return ()


@settings(max_examples=tried(400))
@given(moves, st.sampled_from([POLICY, CLOSING]))
def test_room_measures_are_unique_by_kind_and_end_only_if_in_force(steps: list[Any], by: Any) -> None:
    there = Room()
    for what, how, who in steps:
        try:
            facts = there.step(what, how, who, by)
        except Refused:
            continue
        there.apply(facts)
