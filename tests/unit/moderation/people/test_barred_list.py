"""The barred list: who can be put on it, and how somebody is removed from it."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.model.builtin_rules import BARRED
from moderation.model.context import CaseView, InForce
from moderation.model.facts import CaseGrew, CaseOpened, SanctionEnded, SanctionStarted
from moderation.people.barred_list import BarredEntry, bar, evidence, unbar
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, EventId, PersonId, UserId
from tests.unit.moderation.builders import ANNA, BOT, DAY, MARK, NOON, OPERA, OTHER, ROOM, context, person, policy

ENTRY = BarredEntry(by=OPERA, reason="threats", until=NOON + 90 * DAY, reader="root")


def case(**more: Any) -> CaseView:
    shown: dict[str, Any] = {
        "n": CaseNumber(3), "room": ROOM, "subject": ANNA, "person": PersonId(ANNA), "rule": "spam", "grade": "severe",
        "decide": "auto", "manages": False, "state": "decided", "outcome": "upheld", "opened": NOON,
    }  # fmt: skip
    return CaseView(**{**shown, **more})


def entry(**more: Any) -> InForce:
    shown: dict[str, Any] = {
        "record": 9, "kind": "ban", "room": None, "subject": ANNA, "until": NOON + DAY, "basis": "operator", "n": 2
    }  # fmt: skip
    return InForce(**{**shown, **more})


def test_an_entry_is_a_decided_case_and_a_ban_everywhere_with_an_end() -> None:
    assert bar(ENTRY, context(next_case=4), policy()) == (
        CaseOpened(
            room=ROOM, n=4, rule=BARRED, grade="severe", decide="manager", state="decided", due=NOON, asked="operator",
            subject=ANNA, by=OPERA, reason="threats",
        ),
        SanctionStarted(
            kind="ban", until=NOON + 90 * DAY, n=4, basis="operator", rule=BARRED, subject=ANNA, by=OPERA,
            reason="threats", reader="root",
        ),
    )  # fmt: skip


def test_the_basis_of_an_entry_becomes_its_evidence() -> None:
    opened = bar(ENTRY, context(next_case=4), policy())[0]
    assert isinstance(opened, CaseOpened)
    rests = replace(ENTRY, evidence=(case(),), messages=((17, EventId("$said")),))
    assert evidence(rests, opened) == (CaseGrew(room=ROOM, on=17, n=4, subject=ANNA, event=EventId("$said")),)


@pytest.mark.parametrize(("who", "key"), [(BOT, "error.target.bot"), (OPERA, "cli.barred.operator")])
def test_neither_the_bot_nor_an_operator_can_be_barred(who: UserId, key: str) -> None:
    with pytest.raises(Refused) as refused:
        bar(ENTRY, context(who), policy())
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"until": NOON}, "cli.barred.past"),
        ({"evidence": (case(outcome="dismissed"),)}, "cli.barred.evidence"),
        ({"evidence": (case(subject=MARK, person=PersonId(MARK)),)}, "cli.barred.evidence"),
    ],
)
def test_an_entry_ends_in_the_future_and_rests_on_what_was_upheld(change: dict[str, Any], key: str) -> None:
    with pytest.raises(Refused) as refused:
        bar(replace(ENTRY, **change), context(), policy())
    assert refused.value.key == key


@pytest.mark.parametrize("basis", ["operator", "credit"])
def test_nobody_is_barred_twice(basis: str) -> None:
    with pytest.raises(Refused) as refused:
        bar(ENTRY, context(person(in_force=(entry(basis=basis),))), policy())
    assert refused.value.key == "cli.barred.already"


def test_a_ban_in_one_room_does_not_prevent_barring() -> None:
    assert len(bar(ENTRY, context(person(in_force=(entry(room=OTHER),))), policy())) == 2


def test_unbarring_admits_everywhere_and_ends_nothing_else() -> None:
    others = (entry(record=10, room=OTHER), entry(record=11, kind="mute"))
    assert unbar((entry(), *others), by=OPERA, reason="talked", reader="root") == (
        SanctionEnded(start=9, kind="ban", why="command", n=2, subject=ANNA, by=OPERA, reason="talked", reader="root"),
    )
