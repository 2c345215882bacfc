"""`unless`: one condition is enough for a rule not to apply, and nothing but the sender counts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.judge.judge import judge
from moderation.model.context import Context, VerificationInForce
from moderation.model.facts import CaseOpened, Fact, Found
from moderation.policy import Policy
from moderation.values.ids import UserId
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    NOON,
    OTHER,
    ROOM,
    compiled,
    context,
    person,
    policy,
    said,
    terms,
)

BRIDGED = UserId("@_oftc_anna:example.org")


def spares(unless: dict[str, Any], known: Context, **more: Any) -> bool:
    rules = policy(terms("spam", unless=unless), **more)
    event = replace(said("spam"), sender=known.subject.user)
    facts = judge(event, known, rules, compiled(rules), 7)
    assert (facts == ()) is not any(isinstance(fact, Found) for fact in facts)
    return facts == ()


@pytest.mark.parametrize(
    ("user", "pattern", "spared"),
    (
        (BRIDGED, "@_oftc_*:example.org", True),
        (UserId("@_oftc_anna:evil.example"), "@_oftc_*:example.org", False),
        (UserId("@_oftc_x:example.org.evil.example"), "@_oftc_*:example.org", False),
        (ANNA, "@_oftc_*:example.org", False),
        (ANNA, ANNA, True),
    ),
)
def test_people_are_spared_by_a_pattern_on_their_own_server_only(user: UserId, pattern: str, spared: bool) -> None:
    assert spares({"users": [pattern]}, context(user)) is spared


@pytest.mark.parametrize(("since", "spared"), ((NOON - 30 * DAY, True), (NOON - 30 * DAY + 1, False), (0, False)))
def test_people_are_spared_who_were_seen_in_this_room_long_ago(since: int, spared: bool) -> None:
    elsewhere = {OTHER: NOON - 90 * DAY}
    assert spares({"in_room_for": "30d"}, context(person(since={ROOM: since, **elsewhere}))) is spared


@pytest.mark.parametrize(("count", "spared"), ((50, True), (49, False)))
def test_people_are_spared_who_have_written_enough(count: int, spared: bool) -> None:
    assert spares({"messages": 50}, replace(context(), said=count)) is spared


@pytest.mark.parametrize(
    ("proof", "spared"),
    (
        (VerificationInForce("email", 2, NOON + 1), True),
        (VerificationInForce("email", 1, NOON + 1), False),
        (VerificationInForce("email", 2, NOON), False),  # over
        (VerificationInForce("oidc", 3, NOON + 1), False),  # a method that does not count here
        (VerificationInForce("email", 2, NOON + 1, reach=f"room {OTHER}", room=OTHER), False),  # counts elsewhere
    ),
)
def test_people_are_spared_at_the_level_that_counts_in_the_room(proof: VerificationInForce, spared: bool) -> None:
    known, methods = context(person(proofs=(proof,))), {"methods": ("email", "vouch")}
    assert spares({"verified": 2}, known, verification=methods) is spared


def test_other_rules_hold_for_the_people_whom_one_spares() -> None:
    rules = policy(terms("spam", unless={"messages": 1}), terms("ham"))
    facts = judge(said("spam and ham"), replace(context(), said=5), rules, compiled(rules), 7)
    assert [fact.rule for fact in facts if isinstance(fact, Found | CaseOpened)] == ["ham", "ham"]


CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "users": st.lists(st.sampled_from([ANNA, MARK, "@_oftc_*:example.org"]), max_size=2),
    "verified": st.integers(1, 3),
    "in_room_for": st.integers(1, 60).map(lambda days: f"{days}d"),
    "messages": st.integers(1, 100),
}
PEOPLE = st.builds(
    lambda user, level, days, count: replace(
        context(person(user, since={ROOM: NOON - days * DAY}, proofs=(VerificationInForce("vouch", level, NOON + 1),))),
        said=count,
    ),
    st.sampled_from([ANNA, MARK, BRIDGED]),
    st.integers(1, 3),
    st.integers(0, 60),
    st.integers(0, 100),
)


@given(st.fixed_dictionaries({}, optional=CONDITIONS), PEOPLE)
def test_a_rule_spares_whom_one_of_its_conditions_alone_would_spare(unless: dict[str, Any], known: Context) -> None:
    assert spares(unless, known) is any(spares({name: value}, known) for name, value in unless.items())


@given(st.fixed_dictionaries({}, optional=CONDITIONS), PEOPLE)
def test_a_recorded_policy_spares_the_same_people(unless: dict[str, Any], known: Context) -> None:
    written = policy(terms("spam", unless=unless))
    again = Policy.model_validate_json(written.model_dump_json(by_alias=True))
    facts: list[tuple[Fact, ...]] = [judge(said("spam"), known, each, compiled(each), 7) for each in (written, again)]
    assert again == written and facts[0] == facts[1]


def test_a_policy_recorded_before_there_was_unless_spares_nobody() -> None:
    rules = policy(terms("spam"))
    old = rules.model_dump(mode="json", by_alias=True)
    for rule in old["rules"]:
        del rule["unless"]
    assert Policy.model_validate(old) == rules
