"""The consequences of one event: by example, and over arbitrary histories."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.judge.judge import judge
from moderation.model.facts import (
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    FoundOnTrial,
    SanctionExtended,
    SanctionStarted,
)
from moderation.model.facts.cases import EXCERPT
from moderation.policy import GRADES, Grade
from moderation.values.events import Unreadable
from moderation.values.ids import EventId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    OTHER,
    ROOM,
    History,
    came,
    compiled,
    context,
    entry,
    person,
    policy,
    room,
    said,
    terms,
    topic,
)
from tests.unit.moderation.judge.judging import SPAM_RULES, at_credit, judged

# One event.


def test_a_rule_on_trial_finds_and_nothing_follows() -> None:
    tried = FoundOnTrial(room=ROOM, on=7, rule="spam", grade="severe", where="body", subject=ANNA, matched="SPAM")
    trial = terms("spam", dry_run=True, measure="mute", **{"class": "severe"})
    assert judged(said("buy SPAM now"), context(), policy(trial)) == (tried,)
    spared = policy(terms("spam", dry_run=True, unless={"users": [ANNA]}))
    assert judged(said("buy SPAM now"), context(), spared) == ()


def test_a_rule_on_trial_changes_nothing_of_what_others_bring() -> None:
    event = said("buy SPAM now")
    tried, *rest = judged(event, context(), policy(terms("now", dry_run=True, **{"class": "severe"}), *SPAM_RULES))
    assert isinstance(tried, FoundOnTrial)
    assert tuple(rest) == judged(event, context())


def test_a_violation_brings_the_finding_the_case_the_measure_and_the_charge_in_this_order() -> None:
    assert judged(said("buy SPAM now"), context()) == (
        Found(room=ROOM, on=7, rule="spam", grade="moderate", where="body", subject=ANNA, matched="SPAM"),
        CaseOpened(
            room=ROOM,
            on=7,
            n=1,
            rule="spam",
            grade="moderate",
            decide="auto",
            state="decided",
            due=NOON + 72 * HOUR,
            subject=ANNA,
            event=EventId("$said"),
            excerpt="buy SPAM now",
        ),
        SanctionStarted(
            room=ROOM, on=7, kind="redact", n=1, basis="rule", rule="spam", subject=ANNA, event=EventId("$said")
        ),
        CreditChanged(
            room=ROOM, on=7, entry="charge", cost=10, grade="moderate", rule="spam", n=1, left=90, subject=ANNA
        ),
    )


def test_a_message_that_breaks_no_rule_brings_nothing() -> None:
    assert judged(said("good morning"), context()) == ()


def test_every_rule_that_was_broken_is_noted_and_the_gravest_makes_the_one_case() -> None:
    rules = policy(
        terms("mild", "tea", **{"class": "minor"}),
        terms("grave", "tea", **{"class": "severe"}),
        terms("other", "coffee", **{"class": "severe"}),
        terms("middle", "tea", **{"class": "serious"}),
    )
    facts = judged(said("tea"), context(), rules)
    assert [fact.rule for fact in facts if isinstance(fact, Found)] == ["mild", "grave", "middle"]
    assert [(fact.rule, fact.grade) for fact in facts if isinstance(fact, CaseOpened)] == [("grave", "severe")]


def test_a_rule_of_another_room_does_not_concern_this_one() -> None:
    rules = policy(terms("here", "tea", rooms=["G-7F*"]), terms("there", "tea", rooms=["!kitchen*"]))
    facts = judged(said("tea"), context(), rules)
    assert [fact.rule for fact in facts if isinstance(fact, Found)] == ["here"]


def test_a_rule_for_a_community_holds_in_its_rooms_by_the_exact_name() -> None:
    rules = policy(terms("here", "tea", rooms=["club"]), terms("there", "tea", rooms=["clu*"]))
    there = replace(context(), room=replace(room(), community="club"))
    assert [fact.rule for fact in judged(said("tea"), there, rules) if isinstance(fact, Found)] == ["here"]
    assert judged(said("tea"), context(), rules) == ()


def test_quotations_in_cases_and_findings_are_bounded() -> None:
    facts = judged(said("spam " + "x" * 5_000), context())
    assert [len(fact.excerpt) for fact in facts if isinstance(fact, CaseOpened)] == [EXCERPT]
    assert all(len(fact.matched) <= EXCERPT for fact in facts if isinstance(fact, Found))


@pytest.mark.parametrize(
    ("measure", "kinds"),
    [
        ("none", {}),
        ("notice", {}),
        ("redact", {"redact": 0}),
        ("mute", {"redact": 0, "mute": NOON + HOUR}),
        ("kick", {"redact": 0, "kick": 0}),
        ("ban", {"redact": 0, "ban": NOON + 30 * DAY}),
    ],
)
def test_the_measure_of_the_rule_is_what_applies(measure: str, kinds: dict[str, int]) -> None:
    rules = policy(terms("spam", measure=measure, mute_for="1h", ban_for="30d"))
    facts = judged(said("spam"), context(), rules)
    started = [fact for fact in facts if isinstance(fact, SanctionStarted)]
    assert [(fact.kind, fact.until) for fact in started] == list(kinds.items())
    assert {(fact.basis, fact.rule, fact.n) for fact in started} <= {("rule", "spam", 1)}


def test_a_name_that_breaks_a_rule_can_be_answered_by_a_removal() -> None:
    rules = policy(terms("spam", measure="kick"))
    assert [type(fact) for fact in judged(came("spam"), context(), rules)] == [
        Found,
        CaseOpened,
        SanctionStarted,
        CreditChanged,
    ]
    left = replace(came("spam"), membership="leave")
    assert [type(fact) for fact in judged(left, context(), rules)] == [
        Found,
        CaseOpened,
        SanctionStarted,
        CreditChanged,
    ]
    assert [fact.kind for fact in judged(left, context(), rules) if isinstance(fact, SanctionStarted)] == ["redact"]


@pytest.mark.parametrize(("measure", "third"), [("kick", HOUR), ("ban", MINUTE)])
def test_who_comes_back_is_removed_again_in_the_same_case_and_the_third_time_banned(measure: str, third: int) -> None:
    told = History(policy(terms("spam", measure=measure, ban_for="1m")))
    for _ in range(3):
        for _ in range(3):  # before the removal is done
            told.say("spam")
        told.wait(2 * MINUTE)
        told.joined[ROOM] = told.now
    begun = [(at, fact) for _, at, fact in told.facts if isinstance(fact, SanctionStarted) and fact.kind != "redact"]
    once = (measure, 0 if measure == "kick" else MINUTE)
    assert [(fact.kind, fact.until - at if fact.until else 0) for at, fact in begun] == [once, once, ("ban", third)]
    assert (list(told.cases), sum(isinstance(fact, CreditChanged) for _, _, fact in told.facts)) == ([1], 1)


def test_who_comes_back_after_a_mute_is_in_the_same_incident() -> None:
    told = History(policy(terms("spam", measure="mute", mute_for="1h")))
    told.say("spam")
    told.wait(MINUTE)
    told.joined[ROOM] = told.now
    told.say("spam")
    assert list(told.cases) == [1]


@pytest.mark.parametrize("event", [came("spam"), topic("spam")], ids=["display name", "topic"])
def test_a_name_or_a_topic_is_judged_but_not_redacted(event: Any) -> None:
    facts = judged(event, context())
    assert [type(fact) for fact in facts] == [Found, CaseOpened, CreditChanged]


def test_a_rule_that_leaves_the_decision_to_managers_charges_nothing_and_applies_the_interim_measure() -> None:
    rules = policy(terms("spam", decide="manager", measure="mute", interim="redact"))
    found, opened, gone = judged(said("spam"), context(), rules)
    assert isinstance(found, Found)
    assert isinstance(opened, CaseOpened)
    assert (opened.decide, opened.state, opened.manages) == ("manager", "open", 0)
    assert isinstance(gone, SanctionStarted)
    assert (gone.kind, gone.basis) == ("redact", "interim")


@pytest.mark.parametrize("grade", GRADES)
def test_the_deadline_is_that_of_the_class(grade: Grade) -> None:
    rules = policy(terms("spam", **{"class": grade}))
    (opened,) = [fact for fact in judged(said("spam"), context(), rules) if isinstance(fact, CaseOpened)]
    assert opened.due == NOON + rules.cases.deadlines.of(grade)


# Who and where.


@pytest.mark.parametrize("sender", [MARK, OLGA], ids=["manager", "owner"])
def test_nothing_applies_to_managers_before_a_decision(sender: Any) -> None:
    managing = person(sender, manages=frozenset({ROOM}))
    rules = policy(terms("spam", measure="mute", interim="mute"))
    found, opened = judged(said("spam", sender), context(managing), rules)
    assert isinstance(found, Found)
    assert isinstance(opened, CaseOpened)
    assert (opened.decide, opened.state, opened.manages) == ("manager", "open", 1)


def test_nothing_applies_in_a_room_where_the_bot_can_only_look_on() -> None:
    found, opened = judged(said("spam"), context(here=room("observing")))
    assert isinstance(found, Found)
    assert isinstance(opened, CaseOpened)
    assert (opened.decide, opened.state, opened.manages) == ("manager", "open", 0)


def test_a_manager_of_another_room_is_a_member_here() -> None:
    facts = judged(said("spam"), context(person(manages=frozenset({OTHER}))))
    assert [type(fact) for fact in facts] == [Found, CaseOpened, SanctionStarted, CreditChanged]


@pytest.mark.parametrize(
    ("event", "here"),
    [
        (said("spam", BOT), room()),
        (came("spam", BOT), room()),
        (topic("spam", BOT), room()),
        (came("spam", ANNA, by=MARK), room()),
        (replace(came("spam"), membership="leave", texts=()), room()),
        (said("spam"), room(purpose="desk")),
        (said("spam"), room(purpose="direct")),
        (said("spam"), room("joining")),
        (said("spam"), room("announced")),
        (said("spam"), room("left")),
        (Unreadable(room=ROOM, received_ms=NOON, problem="spam"), room()),
    ],
)
def test_only_peoples_own_words_in_served_groups_are_judged(event: Any, here: Any) -> None:
    assert judged(event, context(here=here)) == ()


# Incidents.


def history(**rule: Any) -> History:
    return History(policy(terms("spam", **{"class": "moderate", **rule})))


def kinds(facts: tuple[Fact, ...]) -> list[type[Fact]]:
    return [type(fact) for fact in facts]


NEW = [Found, CaseOpened, SanctionStarted, CreditChanged]
JOINED = [Found, CaseGrew, SanctionStarted]


def test_the_same_again_within_one_incident_is_dealt_with_and_not_charged_again() -> None:
    told = history()
    assert kinds(told.say("spam")) == NEW
    told.wait(10 * MINUTE)
    assert kinds(told.say("spam")) == JOINED
    assert (told.balance(), list(told.cases)) == (90, [1])
    assert len(told.cases[1].events) == 2


def test_after_the_incident_the_same_again_is_a_new_case_and_costs_more() -> None:
    told = history()
    told.say("spam")
    told.wait(10 * MINUTE + 1)
    assert kinds(told.say("spam")) == NEW
    assert told.balance() == 100 - 10 - 15


def test_the_same_again_after_a_dismissal_is_a_new_case() -> None:
    told = history()
    told.say("spam")
    told.decide(1, "dismissed")
    assert kinds(told.say("spam")) == NEW
    assert told.balance() == 90


def test_an_addition_to_an_open_case_gets_only_the_interim_measure() -> None:
    told = history(decide="manager", measure="redact", interim="none")
    told.say("spam")
    assert kinds(told.say("spam")) == [Found, CaseGrew]
    told.decide(1, "upheld")
    assert kinds(told.say("spam")) == JOINED


def test_one_incident_starts_one_mute() -> None:
    told = history(measure="mute")
    told.say("spam")
    told.say("spam")
    assert len(told.holds("mute")) == 1


# Prices.


def test_a_first_minor_offence_is_a_warning_then_it_costs_then_one_and_a_half_times_then_double() -> None:
    told = history(**{"class": "minor"})
    costs = []
    for _ in range(5):
        facts = told.say("spam")
        costs += [(fact.entry, fact.cost) for fact in facts if isinstance(fact, CreditChanged)]
        told.wait(HOUR)
    assert costs == [("warning", 0), ("charge", 8), ("charge", 10), ("charge", 10), ("charge", 10)]


@pytest.mark.parametrize(("grade", "cost"), [("moderate", 10), ("serious", 25), ("severe", 50)])
def test_graver_offences_cost_at_once(grade: str, cost: int) -> None:
    told = history(**{"class": grade})
    told.say("spam")
    assert told.balance() == 100 - cost


# Consequences of a low balance.


def started(facts: tuple[Fact, ...]) -> list[tuple[str, int]]:
    return [(fact.kind, fact.until) for fact in facts if isinstance(fact, SanctionStarted) and fact.basis == "credit"]


@given(st.integers(0, 100), st.booleans())
def test_demotion_comes_exactly_when_credit_is_below_the_threshold_and_there_are_rights_to_take(
    before: int, manages: bool
) -> None:
    managed = frozenset({OTHER}) if manages else frozenset()
    facts = judged(said("spam"), context(at_credit(before, manages=managed)))
    left = max(0, before - 10)
    brought = [kind for kind, _ in started(facts)]
    assert ("demote" in brought) == (manages and left < 40)
    assert ("mute" in brought) == (20 <= left < 40)
    assert ("ban" in brought) == (left < 20)


def test_a_demotion_lasts_at_least_its_time_and_until_credit_is_back() -> None:
    managing = frozenset({OTHER})
    (short,) = [
        until
        for kind, until in started(judged(said("spam"), context(at_credit(49, manages=managing))))
        if kind == "demote"
    ]
    (long,) = [
        until
        for kind, until in started(judged(said("spam"), context(at_credit(40, manages=managing))))
        if kind == "demote"
    ]
    assert short == NOON + 10 * DAY  # 39: seven quiet days, then three for the one point
    assert long == NOON + 37 * DAY  # 30: ten points


def test_a_demotion_holds_in_every_room_or_in_its_own_where_credit_is_kept_by_rooms() -> None:
    everywhere = judged(said("spam"), context(at_credit(45, manages=frozenset({OTHER}))))
    assert [fact.room for fact in everywhere if isinstance(fact, SanctionStarted) and fact.kind == "demote"] == [None]
    by_room = policy(terms("spam", **{"class": "moderate"}), credit={"scope": "room"})
    elsewhere = judged(said("spam"), context(at_credit(45, manages=frozenset({OTHER}))), by_room)
    assert "demote" not in [kind for kind, _ in started(elsewhere)]


def test_where_credit_is_kept_by_rooms_a_mute_of_another_room_does_not_stand_in_for_one_here() -> None:
    by_room = policy(terms("spam", **{"class": "moderate"}), credit={"scope": "room"})
    told = History(by_room)
    told.entries = [entry(100, 65, NOON, rule="other")]
    told.say("spam")
    assert [mute.room for mute in told.holds("mute")] == [ROOM]
    moved = History(by_room, here=room(name=OTHER))
    moved.entries = [replace(entry(100, 65, NOON, rule="other"), room=OTHER)]
    moved.folded.sanctions[900] = told.holds("mute")[0]
    facts = judge(said("spam", where=OTHER), moved.context(), by_room, compiled(by_room), 7)
    assert [fact.room for fact in facts if isinstance(fact, SanctionStarted) and fact.basis == "credit"] == [OTHER]


def test_a_further_charge_makes_a_mute_last_longer_instead_of_beginning_another() -> None:
    rules = policy(
        terms("spam", **{"class": "moderate"}),
        terms("eggs", **{"class": "minor"}),
        credit={"first_minor_is_warning": False},
    )
    told = History(rules)
    told.entries = [entry(1_000, 61, NOON, rule="other")]
    told.say("spam")
    (mute,) = told.holds("mute")
    told.wait(DAY)
    assert SanctionExtended in kinds(told.say("eggs"))
    assert told.holds("mute") == [replace(mute, until=NOON + DAY + 3 * DAY)]


def test_a_warning_is_no_charge_and_makes_no_mute_begin_again() -> None:
    rules = policy(terms("spam", **{"class": "minor"}))
    told = History(rules)
    told.entries = [entry(1_000, 70, NOON, rule="other")]
    told.wait(4 * DAY)  # as if the mute for these 70 points were over
    told.say("spam")
    assert (told.balance(), told.in_force()) == (30, [])


# Held back.


@pytest.mark.parametrize(
    ("left", "last", "slowed"),
    [(59, None, False), (59, NOON - 29_999, True), (59, NOON - 30_000, False), (60, NOON - 1, False)],
)
def test_with_low_credit_messages_are_slowed_without_a_case_or_a_charge(
    left: int, last: int | None, slowed: bool
) -> None:
    facts = judged(said("good morning"), context(at_credit(left), stood=last))
    expected = SanctionStarted(
        room=ROOM,
        on=7,
        kind="redact",
        basis="rule",
        rule="tier_slow",
        every=30_000,
        subject=ANNA,
        event=EventId("$said"),
    )
    assert facts == ((expected,) if slowed else ())


def test_an_edit_is_not_slowed() -> None:
    edit = said("better", replaces="$first")
    assert judged(edit, context(at_credit(50), stood=NOON - 1)) == ()


def test_a_manager_with_low_credit_is_not_held_back() -> None:
    managing = at_credit(50, manages=frozenset({ROOM}))
    assert judged(said("see https://example.org"), context(managing)) == ()


# Over histories.
