"""Appeals: by whom, when, decided by somebody else; affirmed changes nothing, reversed undoes everything."""

from dataclasses import replace

import pytest

from moderation.appeals import lodge
from moderation.errors import IllegalStep, Refused
from moderation.facts import Appealed, CaseDecided
from moderation.ids import UserId
from tests.moderation.builders import ANNA, DAY, MARK, MINA, OLGA, OPERA, History, policy, terms

POLICY = policy(terms("spam", decide="manager", measure="mute", mute_for="1h", **{"class": "moderate"}))


def upheld(by: UserId = MINA) -> History:
    """A case about Anna, upheld."""
    told = History(POLICY)
    told.say("spam")
    told.decide(1, "upheld", by)
    return told


def appeal(
    told: History, by: UserId = ANNA, words: str = "a quotation", now: int | None = None
) -> tuple[Appealed, ...]:
    """Lodge it, as the bot does."""
    now = told.now if now is None else now
    facts = lodge(told.cases[1], by=by, words=words, decided_ms=told.now, now_ms=now, policy=POLICY, on=9)
    told.apply(facts)
    told.cases[1] = replace(told.cases[1], state="appealed")
    return facts


def test_whom_an_upheld_case_concerns_may_appeal_it_and_an_answer_is_due() -> None:
    told = upheld()
    (fact,) = appeal(told)
    assert (fact.n, fact.subject, fact.words, fact.state) == (1, ANNA, "a quotation", "appealed")
    assert fact.due == told.now + POLICY.cases.deadlines.of("moderate")


def test_nobody_else_may_nor_without_a_word_nor_twice_nor_too_late() -> None:
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


@pytest.mark.parametrize("outcome", ["", "dismissed"])
def test_what_was_not_decided_against_one_cannot_be_appealed(outcome: str) -> None:
    told = upheld()
    told.cases[1] = replace(told.cases[1], outcome=outcome)
    with pytest.raises(Refused, match=r"error\.appeal\.nothing"):
        appeal(told)


@pytest.mark.parametrize("state", ["affirmed", "closed"])
def test_what_was_looked_at_again_is_not_looked_at_once_more(state: str) -> None:
    told = upheld()
    told.cases[1] = replace(told.cases[1], state=state)
    with pytest.raises(IllegalStep):
        appeal(told)


def test_affirming_changes_nothing_but_the_state() -> None:
    told = upheld()
    before = told.state()
    appeal(told)
    (decided,) = told.decide(1, "upheld", OLGA)
    assert isinstance(decided, CaseDecided)
    assert (decided.state, decided.what, told.state()) == ("affirmed", "upheld", before)


def test_reversing_leaves_nothing_of_the_case() -> None:
    told = upheld()
    appeal(told)
    decided = told.decide(1, "dismissed", OLGA)[0]
    assert isinstance(decided, CaseDecided)
    assert (decided.state, told.state()) == ("reversed", (100, set()))


@pytest.mark.parametrize("what", ["upheld", "dismissed"])
def test_nobody_decides_an_appeal_against_their_own_decision(what: str) -> None:
    told = upheld(by=MINA)
    appeal(told)
    with pytest.raises(Refused, match=r"error\.appeal\.own-decision"):
        told.decide(1, what, MINA)


def test_nobody_decides_their_own_appeal() -> None:
    told = upheld()
    appeal(told)
    with pytest.raises(Refused, match=r"error\.case\.own"):
        told.decide(1, "dismissed", ANNA)
