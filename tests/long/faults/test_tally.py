"""The harness counts a fact too many, a missing act, and a figure that is not the sum."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

from moderation.model.facts import CreditChanged
from moderation.values.ids import UserId
from tests.long.faults.fault import Fault
from tests.long.faults.perform import Tally
from tests.long.faults.seen import Seen, _said, different, reckoned

PEACE = Seen(
    deaths=0,
    step="",
    steps=["write"] * 9,
    journal_in_order=True,
    recorded_twice=0,
    facts=Counter(charged=1),
    homeserver=Counter(card=1, word=2),
    balances={"ann": 90},
)


def charge(cost: int, left: int, *, undoes: int = -1) -> CreditChanged:
    entry: Literal["charge", "compensation"] = "compensation" if undoes >= 0 else "charge"
    ann = UserId("@ann:example.org")
    return CreditChanged(entry=entry, cost=cost, grade="-", rule="spam", left=left, undoes=undoes, subject=ann)


def test_an_undisturbed_run_counts_nothing_lost_or_doubled() -> None:
    tally = Tally()
    tally.add(Fault(kill_at=3), PEACE, replace(PEACE, deaths=1, step="commit"))
    assert (tally.died, tally.lost, tally.doubled, tally.wrong) == (Counter(commit=1), 0, 0, {})


def test_missing_and_doubled_records_are_counted_and_named() -> None:
    other = replace(PEACE, deaths=1, step="flush", facts=Counter(charged=2), homeserver=Counter(word=2))
    tally = Tally()
    tally.add(Fault(kill_at=3), PEACE, other)
    assert (tally.lost, tally.doubled, len(tally.wrong)) == (1, 1, 1)
    assert different(PEACE, other) == {
        "facts": {"missing": {}, "more": {"charged": 1}},
        "homeserver": {"missing": {"card": 1}, "more": {}},
    }


def test_a_run_without_an_end_counts_as_wrong() -> None:
    tally = Tally()
    tally.add_unfinished(Fault(kill_at=3), AssertionError("waited 300 s"), Path("story-3"))
    assert (tally.played, tally.died, len(tally.wrong)) == (1, Counter(), 1)


def test_how_much_of_an_hour_is_left_is_no_difference() -> None:
    assert _said("This ends in 1 h, case 3") == _said("This ends in 59 min, case 3") != _said("This ended, case 3")


def test_balances_that_differ_and_figures_that_are_not_the_sum_are_told() -> None:
    other = replace(PEACE, balances={"ann": 80}, misreckoned=["ann, case 1: 90 of 80"])
    assert set(different(PEACE, other)) == {"balances", "misreckoned"}


def test_the_signed_figure_is_the_sum_of_the_entries_before_it() -> None:
    right = [(1, charge(10, 90)), (2, charge(5, 85)), (3, charge(0, 95, undoes=1))]
    assert reckoned(right) == ({"@ann:example.org credit": 95}, [])
    left, wrong = reckoned([*right, (4, charge(5, 85))])
    assert (left, wrong) == ({"@ann:example.org credit": 90}, ["@ann:example.org credit, case 0: 85 of 90"])
