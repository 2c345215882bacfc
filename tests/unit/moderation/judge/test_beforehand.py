"""The judgement before delivery: it refuses what the judgement after delivery removes, and the same follows."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.judge.beforehand import Refusal, refused_beforehand
from moderation.judge.judge import is_removed, judge
from moderation.judge.withheld import judge_withheld
from moderation.model.context import Context
from moderation.model.facts import CaseGrew, CaseOpened, CreditChanged, Fact, Found, SanctionStarted
from moderation.policy import Measure, Policy
from moderation.values.events import Received, Redacted, Undecryptable
from moderation.values.ids import CaseNumber, EventId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    HOUR,
    MINUTE,
    NOON,
    OLGA,
    ROOM,
    came,
    compiled,
    context,
    known,
    person,
    policy,
    room,
    said,
    terms,
    topic,
)

ALL: frozenset[Measure] = frozenset(get_args(Measure))
SPAM = policy(terms("spam", **{"class": "moderate"}))
CASE = replace(known().cases[3].case, opened=NOON - MINUTE)


def refused(
    event: Received, about: Context, rules: Policy = SPAM, measures: frozenset[Measure] = ALL
) -> Refusal | None:
    return refused_beforehand(event, about, rules, compiled(rules), measures)


def after(event: Received, about: Context, rules: Policy = SPAM) -> tuple[Fact, ...]:
    return judge(event, about, rules, compiled(rules), 7)


def follows(event: Any, refusal: Refusal, about: Context, rules: Policy = SPAM) -> tuple[Fact, ...]:
    return judge_withheld(event, refusal, about, rules, compiled(rules), 7)


def as_redacted(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    return tuple(
        replace(fact, kind="redact") if isinstance(fact, SanctionStarted) and fact.kind == "withhold" else fact
        for fact in facts
    )


def test_a_message_that_would_be_removed_is_refused_and_says_by_what() -> None:
    assert refused(said("buy SPAM now"), context()) == Refusal("spam", "moderate", "rule", "body", "SPAM")
    assert refused(said("good morning"), context()) is None


def test_only_the_measures_asked_for_refuse() -> None:
    rules = policy(terms("spam", measure="mute"))
    assert refused(said("spam"), context(), rules, frozenset({"redact"})) is None
    assert refused(said("spam"), context(), rules, frozenset({"redact", "mute"})) is not None
    waits = policy(terms("spam", decide="manager", interim="redact", measure="ban"))
    found = refused(said("spam"), context(), waits, frozenset({"redact"}))
    assert found is not None and found.basis == "interim"


def test_a_rule_that_holds_messages_back_is_always_asked_and_people_decide() -> None:
    rules = policy(terms("spam", decide="manager", interim="hold", measure="ban"))
    refusal = refused(said("spam"), context(), rules, frozenset())
    assert refusal == Refusal("spam", "minor", "interim", "body", "spam")
    _, opened, gone = follows(said("spam"), refusal, context(), rules)
    assert isinstance(opened, CaseOpened) and (opened.state, opened.decide) == ("open", "manager")
    assert isinstance(gone, SanctionStarted) and (gone.kind, gone.basis) == ("withhold", "interim")
    assert is_removed(after(said("spam"), context(), rules))  # one that was delivered all the same


def test_a_graver_rule_that_is_not_asked_for_leaves_it_to_the_judgement_after_delivery() -> None:
    rules = policy(terms("spam"), terms("crime", measure="ban", **{"class": "severe"}))
    assert refused(said("spam crime"), context(), rules, frozenset({"redact"})) is None


@pytest.mark.parametrize(
    "about",
    [
        context(subject=person(manages=frozenset({ROOM}))),
        context(here=room(condition="observing")),
        context(here=room(condition="left")),
        context(here=room(purpose="desk")),
    ],
)
def test_managers_and_rooms_where_people_decide_first_are_not_refused(about: Context) -> None:
    assert refused(said("spam"), about) is None


def test_people_whom_a_rule_spares_rules_on_trial_and_the_bot_are_not_refused() -> None:
    assert refused(said("spam"), context(), policy(terms("spam", unless={"users": [ANNA]}))) is None
    assert refused(said("spam"), context(), policy(terms("spam", dry_run=True))) is None
    assert refused(said("spam", BOT), context(subject=person(BOT))) is None


def test_what_people_do_to_come_go_or_take_back_is_never_refused() -> None:
    taken_back = Redacted(
        room=ROOM,
        event=EventId("$r"),
        sender=ANNA,
        sent_ms=NOON,
        received_ms=NOON,
        type="m.room.redaction",
        content={},
        target=EventId("$m"),
        reason="spam",
        texts=(),
    )
    unread = Undecryptable(
        room=ROOM, event=EventId("$e"), sender=ANNA, sent_ms=NOON, received_ms=NOON, type="m.room.encrypted", content={}
    )
    for event in (came("spam"), taken_back, unread):
        assert refused(event, context()) is None


def test_a_topic_can_be_refused_though_it_could_not_be_removed() -> None:
    assert not is_removed(after(topic("spam"), context()))
    assert refused(topic("spam"), context()) == Refusal("spam", "moderate", "rule", "topic", "spam")
    [*_, gone, _] = follows(topic("spam"), Refusal("spam", "moderate", "rule", "topic", "spam"), context())
    assert isinstance(gone, SanctionStarted) and gone.kind == "withhold"


CONTEXTS = st.sampled_from(
    [
        context(),
        context(subject=person(manages=frozenset({ROOM}))),
        context(here=room(condition="observing")),
        context(subject=person(recent_cases={(ROOM, "spam"): CASE})),
        context(subject=person(recent_cases={(ROOM, "spam"): replace(CASE, opened=NOON - 9 * HOUR)})),
    ]
)
RULES = st.lists(
    st.builds(
        lambda name, measure, decide, interim, grade: terms(
            name,
            "spam",
            measure=measure,
            decide=decide,
            interim=interim if decide == "manager" else "none",
            **{"class": grade},
        ),
        st.sampled_from(["spam", "b", "c"]),
        st.sampled_from(["none", "notice", "redact", "mute", "kick", "ban"]),
        st.sampled_from(["auto", "manager"]),
        st.sampled_from(["none", "redact", "mute", "hold"]),
        st.sampled_from(["minor", "severe"]),
    ),
    max_size=3,
    unique_by=lambda rule: str(rule["name"]),
)


@given(RULES, CONTEXTS, st.sampled_from(["spam", "hello"]))
def test_both_judges_say_the_same(rules: list[dict[str, Any]], about: Context, text: str) -> None:
    """A message is refused if and only if it would be removed, and the same follows from both."""
    by, event = policy(*rules), said(text)
    delivered = after(event, about, by)
    refusal = refused(event, about, by)
    assert (refusal is not None) is is_removed(delivered)
    if refusal is not None:
        assert as_redacted(follows(event, refusal, about, by)) == delivered


def test_a_refusal_stands_though_the_rule_would_not_find_it_now() -> None:
    """A flood is counted by the process that was asked: the bot has not seen what that one let through."""
    flood = policy({"name": "flood", "kind": "flood", "messages": 3, "within": "1m"})
    refusal = Refusal("flood", count=4, limit=3)
    found, opened, gone, charged = follows(said("again"), refusal, context(), flood)
    assert found == Found(room=ROOM, on=7, rule="flood", grade="minor", count=4, limit=3, subject=ANNA)
    assert isinstance(opened, CaseOpened) and opened.state == "decided"
    assert isinstance(gone, SanctionStarted) and (gone.kind, gone.n, gone.basis) == ("withhold", opened.n, "rule")
    assert isinstance(charged, CreditChanged)


def test_if_the_rule_is_gone_a_person_decides_and_nothing_is_charged() -> None:
    refusal = Refusal("old", "serious", "rule", "body", "spam")
    opened, gone = follows(said("spam"), refusal, context(), policy())
    assert isinstance(opened, CaseOpened)
    assert (opened.rule, opened.grade, opened.state, opened.excerpt) == ("old", "serious", "open", "spam")
    assert isinstance(gone, SanctionStarted)
    assert (gone.kind, gone.n, gone.rule, gone.basis) == ("withhold", opened.n, "old", "interim")
    about = context(subject=person(recent_cases={(ROOM, "old"): replace(CASE, n=CaseNumber(opened.n), rule="old")}))
    grew, again = follows(said("spam"), refusal, about, policy())
    assert isinstance(grew, CaseGrew) and isinstance(again, SanctionStarted) and again.n == grew.n == opened.n


def test_somebody_who_manages_the_room_by_now_is_judged_by_people() -> None:
    about = context(subject=person(OLGA, manages=frozenset({ROOM})))
    _, opened, gone = follows(said("spam", OLGA), Refusal("spam", "moderate", "rule", "body", "spam"), about)
    assert isinstance(opened, CaseOpened) and opened.state == "open"
    assert isinstance(gone, SanctionStarted) and (gone.kind, gone.n) == ("withhold", opened.n)


def test_what_somebody_new_could_not_post_is_withheld_without_a_case() -> None:
    refusal = Refusal("new_member_links", every=5 * MINUTE, messages=2)
    [gone] = follows(said("https://example.org"), refusal, context())
    assert isinstance(gone, SanctionStarted)
    assert (gone.kind, gone.n, gone.rule, gone.every, gone.messages) == ("withhold", 0, refusal.rule, 5 * MINUTE, 2)
