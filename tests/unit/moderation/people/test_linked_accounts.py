"""One person, several accounts: which accounts are one person, their common ledger, and no self-judgement."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases.appeals import lodge
from moderation.cases.deadlines import WaitingCase, deadline
from moderation.cases.decide import decide
from moderation.cases.manager_orders import Order, sanction, vouch
from moderation.cases.obligations import CaseContext, concerns, derive_obligations
from moderation.credit.credit import balance
from moderation.duty.duty import Duty, first_to_ask
from moderation.duty.responsibility import may_reconsider, require_decider, require_fault, require_other_decider
from moderation.model.context import CaseView, InForce
from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    CaseOpened,
    SanctionEnded,
    SanctionStarted,
    TaskOpened,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.people.linked_accounts import AccountLink, accounts, persons
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, PersonId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    MINA,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    context,
    entry,
    person,
    policy,
    room,
)

POLICY = policy()
TWIN = UserId("@twin:example.org")
USERS = (ANNA, TWIN, MARK, MINA, OLGA)
BOTH = frozenset({ANNA, TWIN})
links = st.lists(st.builds(AccountLink, st.sampled_from(USERS), st.sampled_from(USERS)), max_size=5)
LINKED = AccountsLinked(on=7, method="confirmed", subject=TWIN, target=ANNA)
PARTED = AccountUnlinked(on=7, start=3, subject=TWIN, target=ANNA)


# Who is one person.


@given(links)
def test_the_accounts_of_a_person_are_the_same_whatever_the_order_of_the_links(given: list[AccountLink]) -> None:
    for order in list(permutations(given))[:24]:
        assert {user: accounts(order, user) for user in USERS} == {user: accounts(given, user) for user in USERS}


@given(links)
def test_everybody_is_of_exactly_one_person_who_is_named_by_one_of_the_accounts(given: list[AccountLink]) -> None:
    named = persons(given)
    for user in USERS:
        own = accounts(given, user)
        assert user in own
        assert named.get(user, user) in own
        assert {accounts(given, each) for each in own} == {own}


@given(links, st.integers(0, 4))
def test_a_link_that_ends_is_as_if_it_had_never_been(given: list[AccountLink], which: int) -> None:
    rest = [link for number, link in enumerate(given) if number != which]
    assert persons(rest) == persons(list(rest))
    for user in USERS:
        assert accounts(rest, user) <= accounts(given, user)


def test_a_person_keeps_the_name_of_the_account_that_others_joined() -> None:
    assert persons([AccountLink(TWIN, ANNA), AccountLink(ANNA, MARK)]) == {TWIN: PersonId(MARK), ANNA: PersonId(MARK)}
    assert persons([AccountLink(ANNA, MARK), AccountLink(TWIN, ANNA)]) == {TWIN: PersonId(MARK), ANNA: PersonId(MARK)}


# The ledger.

charges = st.lists(
    st.tuples(st.sampled_from(USERS), st.integers(0, 60), st.integers(0, 200).map(lambda days: NOON - days * DAY)),
    max_size=8,
)


@given(charges, links)
def test_merging_ledgers_in_any_order_gives_their_union(
    made: list[tuple[UserId, int, int]], given: list[AccountLink]
) -> None:
    entries = [(user, entry(number, cost, at)) for number, (user, cost, at) in enumerate(made)]
    for order in list(permutations(given))[:6]:
        for user in USERS:
            merged: dict[int, LedgerEntry] = {}
            for account in sorted(accounts(order, user)):  # one account after the other, as they come together
                merged |= {each.id: each for whose, each in entries if whose == account}
            union = [each for whose, each in entries if whose in accounts(given, user)]
            assert sorted(merged.values(), key=lambda each: each.id) == union
            assert balance(merged.values(), NOON, POLICY.credit) == balance(union, NOON, POLICY.credit)


# Nobody decides about themselves.


def case(subject: UserId, own: frozenset[UserId], *, deciders: frozenset[UserId] = frozenset()) -> CaseView:
    return CaseView(
        CaseNumber(3),
        ROOM,
        subject,
        PersonId(subject),
        "spam",
        "minor",
        "manager",
        True,
        "open",
        "",
        NOON,
        accounts=own,
        deciders=deciders,
    )


@given(links, st.sampled_from(USERS))
def test_nobody_decides_about_any_of_their_accounts(given: list[AccountLink], subject: UserId) -> None:
    own = accounts(given, subject)
    about = case(subject, own)
    for actor in (*USERS, OPERA):
        may = actor not in own and actor not in (ANNA, TWIN)
        try:
            require_decider(about, actor, room(), POLICY)
        except Refused as refused:
            assert not may
            assert refused.key == ("error.case.own" if actor in own else "error.right.decide")
        else:
            assert may


@given(links, st.sampled_from([MARK, MINA, OLGA]))
def test_nobody_hears_an_appeal_against_a_decision_of_any_of_their_accounts(
    given: list[AccountLink], decider: UserId
) -> None:
    deciders = accounts(given, decider)
    about = replace(case(UserId("@ben:example.org"), frozenset(), deciders=deciders), by=decider)
    for actor in (MARK, MINA, OLGA):
        if actor not in deciders:
            require_other_decider(about, actor, POLICY)
            continue
        assert may_reconsider(about, actor, room(), POLICY)
        with pytest.raises(Refused, match=r"error\.appeal\.own-decision"):
            require_other_decider(about, actor, POLICY)
        with pytest.raises(Refused, match=r"error\.fault\.nobody"):
            require_fault("error", about, actor, room(), POLICY)


def test_a_case_is_decided_by_nobody_whose_second_account_it_is_about() -> None:
    about = case(ANNA, frozenset({ANNA, MARK}))
    known = context(person(ANNA, accounts=frozenset({ANNA, MARK})))
    with pytest.raises(Refused) as refused:
        decide(about, "dismissed", by=MARK, reason="", context=known, policy=POLICY, on=5)
    assert refused.value.key == "error.case.own"
    assert decide(about, "dismissed", by=MINA, reason="", context=known, policy=POLICY, on=5)


def test_a_person_appeals_from_any_account() -> None:
    about = replace(case(ANNA, BOTH), outcome="upheld", state="decided", decided=NOON)
    (appealed,) = lodge(about, by=TWIN, words="no", now_ms=NOON, policy=POLICY, on=5)
    assert appealed.subject == TWIN
    with pytest.raises(Refused):
        lodge(about, by=MARK, words="no", now_ms=NOON, policy=POLICY, on=5)


# Orders.


def order(by: UserId, target: UserId, own: frozenset[UserId]) -> Order:
    return Order(by=by, on=5, context=context(person(target, accounts=own)), policy=POLICY)


@pytest.mark.parametrize(
    ("by", "own", "key"),
    [
        (MARK, frozenset({ANNA, MARK}), "error.target.self"),
        (MARK, frozenset({ANNA, MINA}), "error.target.above"),  # it would hold for the other manager's account, too
        (MARK, frozenset({ANNA, OLGA}), "error.target.above"),
        (OLGA, frozenset({ANNA, MINA}), ""),
    ],
)
def test_the_highest_level_among_linked_accounts_counts(by: UserId, own: frozenset[UserId], key: str) -> None:
    try:
        sanction(order(by, ANNA, own), "mute")
    except Refused as refused:
        assert refused.key == key
    else:
        assert not key


def test_nobody_vouches_for_their_own_second_account() -> None:
    with pytest.raises(Refused) as refused:
        vouch(order(MARK, ANNA, frozenset({ANNA, MARK})), in_force_by_voucher=0, credit=100, level=2)
    assert refused.value.key == "error.target.self"


# Duty.

SAME = {MARK: frozenset({MARK, TWIN}), TWIN: frozenset({MARK, TWIN})}


def test_nobody_is_asked_about_any_of_their_accounts() -> None:
    duty = Duty(owners=(OLGA,), managers=(MARK, MINA, TWIN), operators=(OPERA,), accounts=SAME)
    assert first_to_ask("managers", duty, NOON, without=frozenset({TWIN})) == ("managers", (MINA,))
    alone = Duty(owners=(TWIN,), managers=(MARK,), operators=(OPERA,), accounts=SAME)
    assert first_to_ask("managers", alone, NOON, without=frozenset({MARK})) == ("operator", (OPERA,))


def test_linked_accounts_are_charged_once_for_neglect() -> None:
    duty = Duty(owners=(OLGA,), managers=(MARK, TWIN), operators=(OPERA,), accounts=SAME)
    waiting = WaitingCase(
        case=case(ANNA, frozenset({ANNA})),
        now_ms=NOON,
        policy=POLICY,
        next_case=9,
        duty=duty,
        context=context(ANNA),
        assigned=(MARK, TWIN),
        told=frozenset({MARK, TWIN}),
        people={user: context(person(user, accounts=SAME[user])) for user in (MARK, TWIN)},
    )
    assert [fact.subject for fact in deadline(waiting) if isinstance(fact, CaseOpened)] == [MARK]


def test_a_room_run_by_two_accounts_of_one_person_has_nobody_left_when_they_are_demoted() -> None:
    duty = Duty(owners=(), managers=(MARK, TWIN), operators=(OPERA,), accounts=SAME)
    demoted = SanctionStarted(on=7, kind="demote", n=4, basis="credit", subject=TWIN)
    around = CaseContext(now_ms=NOON, policy=POLICY, next_case=4, on=7, duties={ROOM: duty})
    told = TaskOpened(room=ROOM, on=7, task="last-manager", n=4, subject=TWIN)
    assert derive_obligations((demoted,), around) == (demoted, told)


# Consequences of a link, and its end.


def test_low_merged_credit_suspends_managing() -> None:
    spent = (entry(1, 40, NOON - 2 * DAY), entry(2, 30, NOON - DAY))
    both = context(person(ANNA, accounts=BOTH, entries=spent, manages=frozenset({ROOM})))
    around = CaseContext(now_ms=NOON, policy=POLICY, next_case=4, on=7, people=(both, both))
    assert concerns((LINKED,))
    facts = derive_obligations((LINKED,), around)
    (demoted,) = facts[1:]
    assert isinstance(demoted, SanctionStarted)
    assert (demoted.kind, demoted.basis, demoted.credit, demoted.subject, demoted.room) == (
        "demote",
        "credit",
        30,
        ANNA,
        None,
    )
    assert derive_obligations(facts, around) == facts


def test_unlinking_restores_rights_if_own_credit_suffices() -> None:
    suspended = InForce(20, "demote", None, ANNA, NOON + DAY, "credit")
    alone = context(person(ANNA, entries=(entry(1, 40, NOON - DAY),), in_force=(suspended,), manages=frozenset({ROOM})))
    around = CaseContext(now_ms=NOON, policy=POLICY, next_case=4, on=7, people=(alone,))
    (ended,) = derive_obligations((PARTED,), around)[1:]
    assert isinstance(ended, SanctionEnded)
    assert (ended.start, ended.why, ended.subject) == (20, "reversed", ANNA)


def test_unlinking_keeps_the_suspension_if_own_credit_is_low() -> None:
    suspended = InForce(20, "demote", None, ANNA, NOON + DAY, "credit")
    alone = context(person(ANNA, entries=(entry(1, 70, NOON - DAY),), in_force=(suspended,), manages=frozenset({ROOM})))
    around = CaseContext(now_ms=NOON, policy=POLICY, next_case=4, on=7, people=(alone,))
    assert derive_obligations((PARTED,), around) == (PARTED,)
