"""Appeals: by whom, when, decided by somebody else; affirming changes nothing, reversing undoes everything."""

from typing import Literal

import pytest

from moderation.cases.appeals import lodge
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.facts import Appealed, CaseDecided, Outcome
from moderation.values.errors import IllegalStep, Refused
from moderation.values.ids import UserId
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    MINA,
    OLGA,
    OPERA,
    ROOM,
    History,
    in_words_of,
    policy,
    terms,
)

POLICY = policy(terms("spam", decide="manager", measure="mute", mute_for="1h", **{"class": "moderate"}))


def upheld(by: UserId = MINA) -> History:
    """Return a history with a case about Anna, upheld."""
    told = History(POLICY)
    told.say("spam")
    told.decide(1, "upheld", by)
    return told


def appeal(
    told: History, by: UserId = ANNA, words: str = "a quotation", now: int | None = None
) -> tuple[Appealed, ...]:
    """Lodge an appeal as the bot does."""
    now = told.now if now is None else now
    facts = lodge(told.cases[1], by=by, words=words, now_ms=now, policy=POLICY, on=9)
    told.apply(facts)
    told.alter(1, state="appealed")
    return facts


def test_the_person_of_an_upheld_case_may_appeal_and_an_answer_is_due() -> None:
    told = upheld()
    (fact,) = appeal(told)
    assert (fact.n, fact.subject, fact.words, fact.state) == (1, ANNA, "a quotation", "appealed")
    assert fact.due == told.now + POLICY.cases.deadlines.of("moderate")


def test_an_appeal_by_others_without_reason_twice_or_late_is_refused() -> None:
    told = upheld()
    for by in (MARK, MINA, OLGA, OPERA):
        with pytest.raises(Refused, match=r"error\.case\.none"):
            appeal(told, by)
    with pytest.raises(Refused, match=r"error\.missing\.words"):
        appeal(told, words="  ")
    with pytest.raises(Refused, match=r"error\.appeal\.late"):
        appeal(told, now=told.now + 184 * DAY)
    appeal(told)
    with pytest.raises(Refused, match=r"error\.appeal\.already"):
        appeal(told)


@pytest.mark.parametrize(("outcome", "why"), [("", "waits"), ("dismissed", "nothing")])
def test_only_a_decision_against_oneself_can_be_appealed(outcome: Outcome | Literal[""], why: str) -> None:
    told = upheld()
    told.alter(1, outcome=outcome)
    with pytest.raises(Refused, match=rf"error\.appeal\.{why}"):
        appeal(told)


def test_before_a_decision_the_time_is_told_by_which_it_is_due() -> None:
    told = upheld()
    told.alter(1, outcome="", due=told.now + DAY)
    with pytest.raises(Refused, match=r"error\.appeal\.undecided") as refused:
        appeal(told)
    assert refused.value.fields["until"] == told.now + DAY


def test_a_closed_case_cannot_be_appealed() -> None:
    told = upheld()
    told.alter(1, state="closed")
    with pytest.raises(IllegalStep):
        appeal(told)


def test_an_affirmed_case_can_go_to_the_operator_once() -> None:
    told = upheld()
    told.alter(1, state="affirmed", deciders=frozenset({OLGA}))
    assert appeal(told)
    told.alter(1, state="affirmed", deciders=frozenset({OPERA}))
    with pytest.raises(Refused, match=r"error\.appeal\.heard"):
        appeal(told)


def test_affirming_changes_only_the_state() -> None:
    told = upheld()
    before = told.state()
    appeal(told)
    (decided,) = told.decide(1, "upheld", OLGA)
    assert isinstance(decided, CaseDecided)
    assert (decided.state, decided.what, told.state()) == ("affirmed", "upheld", before)


def test_reversing_undoes_all_effects_of_the_case() -> None:
    told = upheld()
    appeal(told)
    decided = told.decide(1, "dismissed", OLGA)[0]
    assert isinstance(decided, CaseDecided)
    assert (decided.state, told.state()) == ("reversed", (100, set()))


@pytest.mark.parametrize("what", ["upheld", "dismissed"])
def test_nobody_decides_an_appeal_against_their_own_decision(what: Outcome) -> None:
    told = upheld(by=MINA)
    appeal(told)
    with pytest.raises(Refused, match=r"error\.appeal\.own-decision"):
        told.decide(1, what, MINA)


def test_nobody_decides_their_own_appeal() -> None:
    told = upheld()
    appeal(told)
    with pytest.raises(Refused, match=r"error\.case\.own"):
        told.decide(1, "dismissed", ANNA)


# Reporters.

BEN = UserId("@ben:example.org")


def dismissed(by: UserId = MINA) -> History:
    """Return a history with a case about Anna that Ben had reported, dismissed."""
    told = History(POLICY)
    told.say("spam")
    told.decide(1, "dismissed", by)
    return told


def appeal_as_reporter(told: History, by: UserId = BEN, words: str = "look at the link") -> tuple[Appealed, ...]:
    facts = lodge(
        told.cases[1],
        by=by,
        words=words,
        now_ms=told.now,
        policy=POLICY,
        on=9,
        reporters={BEN, ANNA},
    )
    told.apply(facts)
    told.alter(1, state="appealed", appellants=frozenset({by}))
    return facts


def test_a_reporter_appeals_a_dismissal_and_nobody_else_does() -> None:
    told = dismissed()
    for by in (MARK, OLGA):
        with pytest.raises(Refused, match=r"error\.case\.none"):
            appeal_as_reporter(told, by)
    with pytest.raises(Refused, match=r"error\.appeal\.nothing"):
        appeal_as_reporter(told, ANNA)  # who reported her own words all the same
    with pytest.raises(Refused, match=r"error\.missing\.words"):
        appeal_as_reporter(told, words=" ")
    (fact,) = appeal_as_reporter(told)
    assert (fact.n, fact.subject, fact.report, fact.words) == (1, BEN, 1, "look at the link")
    with pytest.raises(Refused, match=r"error\.appeal\.already"):
        appeal_as_reporter(told)


def test_a_reporter_cannot_appeal_an_upheld_or_already_heard_case() -> None:
    with pytest.raises(Refused, match=r"error\.appeal\.report"):
        appeal_as_reporter(upheld())
    told = dismissed()
    told.alter(1, state="reversed")
    with pytest.raises(Refused, match=r"error\.appeal\.heard"):
        appeal_as_reporter(told)


def test_a_reporters_appeal_is_not_decided_by_the_dismisser_or_the_reporter() -> None:
    told = dismissed(by=MINA)
    appeal_as_reporter(told, BEN)
    told.alter(1, appellants=frozenset({BEN, MARK}))  # Mark is Ben's other account
    with pytest.raises(Refused, match=r"error\.appeal\.own-decision"):
        told.decide(1, "upheld", MINA)
    with pytest.raises(Refused, match=r"error\.appeal\.own"):
        told.decide(1, "upheld", MARK)
    assert told.decide(1, "dismissed", OLGA) == (
        CaseDecided(room=ROOM, on=told._next - 2, n=1, what="dismissed", state="affirmed", subject=ANNA, by=OLGA),
    )


def test_a_granted_reporter_appeal_upholds_the_case_and_can_be_appealed() -> None:
    told = dismissed()
    appeal_as_reporter(told)
    facts = told.decide(1, "upheld", OLGA)
    assert isinstance(facts[0], CaseDecided) and (facts[0].what, facts[0].state) == ("upheld", "reversed")
    assert told.balance() == 90
    assert told.holds("mute")
    appeal(told)
    told.decide(1, "dismissed", MARK)
    assert (told.state(), told.cases[1].state) == ((100, set()), "reversed")


def test_in_the_desk_nobody_sees_which_member_appealed() -> None:
    (fact,) = appeal_as_reporter(dismissed())
    actions = in_words_of((fact,), lambda _: (ROOM,))
    (desk,) = [each for each in actions if isinstance(each, TellDesk)]
    assert desk.ring and BEN not in str(desk)
    (own,) = [each for each in actions if isinstance(each, Tell)]
    assert (own.subject, own.alone, [each.key for each in own.lines]) == (BEN, True, ["report.appealed"])
