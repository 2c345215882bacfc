"""Links and media of people with low credit wait for a manager, and are posted or dropped, without a charge."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.cases.decide import decide
from moderation.judge.judge import judge
from moderation.model.actions.base import Action
from moderation.model.actions.cards import EditCard, PostCard, Quote
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Tell
from moderation.model.context import CaseView, Context
from moderation.model.facts import CaseDecided, CaseGrew, CaseOpened, Fact, Found, Outcome, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.values.events import Media, MessagePosted
from moderation.values.ids import CaseNumber, EventId, PersonId, UserId
from moderation.values.notices import RoomName, Who, line
from tests.unit.moderation.builders import (
    ANNA,
    HOUR,
    MARK,
    NOON,
    ROOM,
    compiled,
    context,
    in_words_of,
    person,
    policy,
    said,
    terms,
)

LOW = policy(credit={"start": 59})
MINUTE = 60_000
OPENED = CaseOpened(
    room=ROOM,
    on=7,
    n=1,
    rule="tier_links",
    grade="minor",
    decide="manager",
    state="open",
    due=NOON + 72 * HOUR,
    subject=ANNA,
    event=EventId("$said"),
    excerpt="see https://example.org",
)
GONE = SanctionStarted(
    room=ROOM, on=7, kind="redact", basis="rule", rule="tier_links", n=1, subject=ANNA, event=EventId("$said")
)
CASE = CaseView(
    n=CaseNumber(1),
    room=ROOM,
    subject=ANNA,
    person=PersonId(ANNA),
    rule="tier_links",
    grade="minor",
    decide="manager",
    manages=False,
    state="open",
    outcome="",
    opened=NOON - MINUTE,
    events=(EventId("$said"),),
    messages=(EventId("$said"),),
)


def judged(event: MessagePosted, known: Context | None = None) -> tuple[Fact, ...]:
    return judge(event, known or context(), LOW, (), 7)


def html(body: str, formatted: str) -> MessagePosted:
    content: Any = {"msgtype": "m.text", "body": body, "format": "org.matrix.custom.html", "formatted_body": formatted}
    return replace(said(body), content=content)


def done(*facts: Fact) -> tuple[Action, ...]:
    return in_words_of(facts, lambda _user: (ROOM,))


@pytest.mark.parametrize(
    ("event", "wait"),
    [
        (said("see https://example.org"), True),
        (said("see example.org/buy"), True),
        (said("see ｅxample。org"), True),
        (html("click here", '<a href="https://example.org">click here</a>'), True),
        (html("hello Mark", '<a href="https://matrix.to/#/@mark:example.org">Mark</a>'), False),
        (said("https://matrix.to/#/@mark:example.org"), False),
        (replace(said("cat.png"), media=(Media(kind="image"),)), True),
        (said("a ratio of 3://4"), False),
        (said("good morning"), False),
    ],
)
def test_links_by_the_links_rule_and_files_wait(event: MessagePosted, wait: bool) -> None:
    kinds = [type(fact) for fact in judged(event)]
    assert kinds == ([CaseOpened, SanctionStarted] if wait else [])


def test_a_message_that_waits_is_a_case_that_shows_it() -> None:
    assert judged(said("see https://example.org")) == (OPENED, GONE)
    long = "see https://example.org " + "x" * 500
    opened = judged(said(long))[0]
    assert isinstance(opened, CaseOpened)
    assert opened.excerpt == long[:EXCERPT]


def test_with_enough_credit_nothing_waits() -> None:
    assert judge(said("see https://example.org"), context(), policy(credit={"start": 60}), (), 7) == ()


@pytest.mark.parametrize(
    ("known", "joins"),
    [
        (CASE, True),
        (replace(CASE, outcome="dismissed", state="decided"), False),
        (replace(CASE, opened=NOON - 11 * MINUTE), False),
    ],
)
def test_further_messages_join_the_waiting_case_silently(known: CaseView, joins: bool) -> None:
    subject = person(recent_cases={(ROOM, "tier_links"): known})
    facts = judged(said("see https://example.org"), context(subject, next_case=2))
    grew = CaseGrew(room=ROOM, on=7, n=1, subject=ANNA, event=EventId("$said"))
    assert facts == ((grew, replace(GONE, quiet=1)) if joins else (replace(OPENED, n=2), replace(GONE, n=2)))


def test_a_waiting_case_has_its_own_number_next_to_a_rule_case() -> None:
    rules = policy(terms("noted", "buy", measure="none", decide="manager"), credit={"start": 59})
    found, first, second, gone = judge(said("buy at example.org"), context(), rules, compiled(rules), 7)
    assert isinstance(found, Found)
    assert isinstance(first, CaseOpened)
    assert isinstance(second, CaseOpened)
    assert isinstance(gone, SanctionStarted)
    assert [(first.rule, first.n), (second.rule, second.n)] == [("noted", 1), ("tier_links", 2)]
    assert gone.n == 2


def test_with_metadata_only_no_message_waits() -> None:
    without = replace(context(), keeps_words=False)
    assert judged(said("see https://example.org"), without) == (replace(GONE, n=0),)
    assert next(a.lines for a in done(replace(GONE, n=0)) if isinstance(a, Tell))[0].key == "notice.held.tier_links"


def test_the_desk_gets_a_card_and_the_message_and_the_person_is_told_that_it_waits() -> None:
    actions = done(OPENED, GONE)
    assert [type(action) for action in actions] == [PostCard, Redact, Quote, Tell]
    assert actions[2] == Quote(room=ROOM, n=CaseNumber(1), event=EventId("$said"))
    tell = actions[3]
    assert isinstance(tell, Tell)
    assert tell.lines[0] == line("notice.waits", room=RoomName(ROOM), n=1)


def decided(what: Outcome, **more: Any) -> tuple[Fact, ...]:
    here = context(person(entries=()), now=NOON)
    given: dict[str, Any] = {"by": MARK, "reason": "", "context": here, "policy": LOW, "on": 9} | more
    return decide(given.pop("case", CASE), what, **given)


def test_upholding_or_dismissing_a_waiting_message_costs_nothing() -> None:
    (yes,), (no,) = decided("dismissed"), decided("upheld")
    expected = CaseDecided(room=ROOM, on=9, n=1, what="dismissed", subject=ANNA, by=MARK, waits=1)
    assert (yes, no) == (expected, replace(expected, what="upheld"))
    quote = Quote(room=ROOM, n=CaseNumber(1))
    assert quote in done(yes)
    assert [action for action in done(no) if not isinstance(action, Tell)] == [EditCard(room=ROOM, n=CaseNumber(1))]
    told = [action.lines[0] for action in (*done(yes), *done(no)) if isinstance(action, Tell)]
    fields: dict[str, Any] = {"room": RoomName(ROOM), "n": 1, "by": Who(MARK)}
    assert told == [line("notice.waited.dismissed", **fields), line("notice.waited.upheld", **fields)]


def test_on_appeal_it_is_posted_after_all() -> None:
    case = replace(CASE, outcome="upheld", state="appealed", by=UserId("@other:example.org"))
    (fact,) = decided("dismissed", case=case)
    assert isinstance(fact, CaseDecided)
    assert (fact.state, fact.waits) == ("reversed", 1)
    assert Quote(room=ROOM, n=CaseNumber(1)) in done(fact)
