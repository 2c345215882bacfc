"""The consequences of an entry for somebody who is here: by trust, and never more than it may."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.lists.book import ListedEntry
from moderation.lists.entries import Advice
from moderation.lists.matching import Verdict, Watch, facts_of, is_too_much, verdict
from moderation.model.context import Context, VerificationInForce
from moderation.model.facts import CaseOpened, ListMatched, SanctionStarted
from moderation.policy import Policy, Trust
from moderation.values.ids import RoomId, UserId
from tests.unit.moderation.builders import ANNA, BOT, MARK, NOON, OLGA, OPERA, context, person, policy, room
from tests.unit.moderation.lists.made import made

STRANGER = UserId("@stranger:elsewhere.example")
LIST = RoomId("!list")


def watch(name: str = "one", trust: Trust = "apply", **more: Any) -> Watch:
    return Watch(name, LIST, trust, **more)


def listed(name: str = "one", entity: str = STRANGER, advice: Advice = "ban") -> ListedEntry:
    return ListedEntry(name, made("user", entity, advice=advice))


def judged(
    *entries: ListedEntry,
    watches: tuple[Watch, ...] = (watch(),),
    who: Context | None = None,
    rules: Policy | None = None,
    spared: frozenset[str] = frozenset(),
) -> Verdict | None:
    return verdict(entries, {each.name: each for each in watches}, who or context(STRANGER), rules or policy(), spared)


@pytest.mark.parametrize(
    ("trust", "step"), [("look", "look"), ("propose", "propose"), ("agree", "propose"), ("apply", "apply")]
)
def test_trust_decides(trust: Trust, step: str) -> None:
    found = judged(listed(), watches=(watch(trust=trust),))
    assert found is not None
    assert (found.step, found.lists) == (step, ("one",))


def test_lists_that_agree_are_applied() -> None:
    watches = (watch("one", "agree"), watch("two", "propose"))
    found = judged(listed("one"), listed("two"), watches=watches)
    assert found is not None
    assert (found.step, found.watch.name, found.lists) == ("apply", "one", ("one", "two"))


@pytest.mark.parametrize("user", [BOT, OPERA, OLGA, MARK])
def test_nobody_who_runs_the_room_is_touched(user: UserId) -> None:
    assert judged(listed(entity=user), who=context(user)) is None


def test_a_room_in_which_the_bot_may_not_act_is_left_alone() -> None:
    assert judged(listed(), who=context(STRANGER, here=room("observing"))) is None


def test_a_pattern_never_means_people_of_the_own_server() -> None:
    server = ListedEntry("one", made("server", "example.org"))
    assert judged(listed(entity="*"), listed(entity="@anna:*"), server, who=context(ANNA)) is None
    assert judged(listed(entity=ANNA), who=context(ANNA)) is not None


def test_other_accounts_of_operators_and_of_the_own_server_are_spared_alike() -> None:
    operator = context(person(STRANGER, accounts=frozenset({STRANGER, OPERA})))
    assert judged(listed(), who=operator) is None
    ours = context(person(STRANGER, accounts=frozenset({STRANGER, ANNA})))
    assert judged(listed(entity="*:elsewhere.example"), who=ours) is None
    assert judged(listed(), who=ours) is not None


def test_those_whom_never_names_are_spared_by_any_of_their_accounts() -> None:
    rules = policy(lists={"never": ("@ANNA:*",)})
    assert judged(listed(), rules=rules) is not None
    linked = person(STRANGER, accounts=frozenset({STRANGER, ANNA}))
    assert judged(listed(), who=context(linked), rules=rules) is None


def test_who_was_spared_is_touched_by_other_lists_only() -> None:
    watches = (watch("one"), watch("two", "propose"))
    found = judged(listed("one"), listed("two"), watches=watches, spared=frozenset({"one"}))
    assert found is not None
    assert (found.step, found.lists) == ("propose", ("two",))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_somebody_verified_is_proposed(level: int) -> None:
    proved = person(STRANGER, proofs=(VerificationInForce("roster", level, NOON + 1),))
    found = judged(listed(), who=context(proved))
    assert found is not None
    assert found.step == ("apply" if level < 2 else "propose")


def test_of_lists_trusted_alike_the_one_that_removes_decides() -> None:
    watches = (watch("one", takedown="redact"), watch("two"))
    entries = (listed("one"), listed("one", advice="takedown"), listed("two", advice="takedown"))
    found = judged(*entries, watches=watches)
    assert found is not None
    assert (found.watch.name, found.listed.entry.advice) == ("one", "takedown")
    further = (watch("one", "propose", takedown="redact"), watch("two"))
    found = judged(*entries, watches=further)
    assert found is not None
    assert found.watch.name == "two", "a list that is trusted further decides first"


def test_a_list_that_allows_leaves_it_to_people() -> None:
    watches = (watch("one"), watch("two", "look"))
    found = judged(listed("one"), listed("two", advice="allow"), watches=watches)
    assert found is not None
    assert found.step == "propose"
    assert judged(listed(advice="allow")) is None
    assert judged(listed(advice="unknown")) is None


def test_a_list_counts_in_its_rooms_and_as_far_as_its_choice() -> None:
    assert judged(listed(), watches=(watch(rooms=("G-AAAA",)),)) is None
    assert judged(listed(), watches=(watch(reach="club"),)) is None
    there = replace(room(), community="club")
    assert judged(listed(), watches=(watch(reach="club"),), who=context(STRANGER, here=there)) is not None
    assert judged(listed(), watches=(watch(senders=("@else:*",)),)) is None
    assert judged(listed(), watches=(watch(kinds=("server",)),)) is None


def test_the_facts_of_a_ban() -> None:
    found = judged(listed())
    assert found is not None
    matched, opened, ban = facts_of(found, context(STRANGER, next_case=4), policy(), on=7)
    assert isinstance(opened, CaseOpened)
    assert isinstance(matched, ListMatched)
    assert isinstance(ban, SanctionStarted)
    assert (opened.n, opened.state, opened.excerpt) == (4, "decided", "one: spam")
    assert (matched.n, matched.author, matched.entity) == (4, "@mod:lists.example", STRANGER)
    assert (ban.room, ban.n, ban.basis, ban.until) == (None, 4, "list", NOON + policy().lists.lasts)


def test_a_proposal_waits_and_bans_nobody() -> None:
    found = judged(listed(), watches=(watch(trust="propose"),))
    assert found is not None
    matched, opened = facts_of(found, context(STRANGER), policy(), on=7)
    assert isinstance(opened, CaseOpened)
    assert (opened.state, opened.rule) == ("open", "policy_list")
    assert isinstance(matched, ListMatched)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50))
def test_what_touches_many_is_too_much(touched: int, by_glob: int, people: int) -> None:
    assert is_too_much(touched, 20, by_glob, people) == (touched > 20 or (by_glob > 1 and by_glob / people > 0.05))
