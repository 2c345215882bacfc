"""The consequences of a balance as time passes, and when something is reversed."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moderation.credit.credit import Price, balance, entries_in_force
from moderation.credit.ledger import charge, charge_standing, with_entry
from moderation.credit.tiers import missing_sanctions, review, tier_facts
from moderation.model.context import InForce
from moderation.model.facts import CreditChanged, Fact, SanctionEnded, SanctionExtended, SanctionStarted
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    HOUR,
    MARK,
    MINUTE,
    NOON,
    OTHER,
    ROOM,
    History,
    context,
    entry,
    person,
    policy,
    terms,
)

DEFAULT = policy()
DEMOTED = InForce(5, "demote", None, ANNA, NOON, "credit", 3)


def reviewed(sanction: InForce, cost: int, ago: int = 7 * DAY, **settings: Any) -> tuple[Fact, ...]:
    """Review a sanction at noon for somebody who was charged `cost` some time ago."""
    known = person(entries=(entry(1, cost, NOON - ago),) if cost else (), in_force=(sanction,))
    return review(sanction, context(known), policy(**settings))


def test_a_demotion_whose_time_is_over_ends_when_credit_is_back() -> None:
    ended = SanctionEnded(on=5, start=5, kind="demote", why="credit", n=3, subject=ANNA)
    assert reviewed(DEMOTED, 60) == (ended,)
    assert reviewed(DEMOTED, 0) == (ended,)


def test_a_demotion_whose_time_is_over_lasts_on_until_credit_is_back() -> None:
    until = NOON + 3 * DAY  # one point, at the earliest ten days after the charge
    assert reviewed(DEMOTED, 61) == (
        SanctionExtended(on=5, start=5, kind="demote", until=until, credit=39, subject=ANNA),
    )


def test_where_credit_can_never_be_back_a_demotion_has_no_end() -> None:
    tiers = {"manage_from": 101, "a": 100, "b": 90, "c": 80, "d": 70}
    assert reviewed(DEMOTED, 0, tiers=tiers) == (
        SanctionExtended(on=5, start=5, kind="demote", until=0, credit=100, subject=ANNA),
    )


def test_mutes_and_bans_end_with_their_time_whatever_the_credit() -> None:
    for kind in ("mute", "ban"):
        for basis in ("credit", "rule", "interim", "decision", "command"):
            held = InForce(5, kind, ROOM, ANNA, NOON, basis, 3)
            assert reviewed(held, 90) == (held.end("time", on=5),)


def test_a_demotion_that_somebody_ordered_ends_with_its_time() -> None:
    held = InForce(5, "demote", ROOM, ANNA, NOON, "decision", 3)
    assert reviewed(held, 90) == (held.end("time", on=5),)


def test_where_credit_is_kept_by_rooms_only_the_charges_of_that_room_hold_a_demotion() -> None:
    here = InForce(5, "demote", ROOM, ANNA, NOON, "credit", 3)
    there = InForce(5, "demote", OTHER, ANNA, NOON, "credit", 3)
    by_room = {"scope": "room"}
    assert isinstance(reviewed(here, 90, credit=by_room)[0], SanctionExtended)
    assert reviewed(there, 90, credit=by_room) == (there.end("credit", on=5),)


# Over histories.

RULES = policy(
    terms("bad", **{"class": "moderate"}),
    terms("worse", **{"class": "serious"}),
    terms("worst", **{"class": "severe"}),
)
moves = st.lists(
    st.tuples(
        st.sampled_from([0, 11 * MINUTE, HOUR, 2 * DAY, 9 * DAY, 30 * DAY]), st.sampled_from(["bad", "worse", "worst"])
    ),
    min_size=1,
    max_size=9,
)


def lived(steps: list[tuple[int, str]], **how: Any) -> History:
    told = History(RULES, **how)
    for pause, text in steps:
        told.wait(pause)
        told.say(text)
    return told


@given(moves)
def test_a_demotion_ends_only_when_its_time_is_over_and_credit_is_back(steps: list[tuple[int, str]]) -> None:
    told = lived(steps, manages=True)
    told.wait(400 * DAY)
    assert not told.holds("demote")
    running: dict[int, int] = {}
    left = RULES.credit.start
    for index, at, fact in told.facts:
        if isinstance(fact, CreditChanged):
            left = fact.left
        if isinstance(fact, SanctionStarted) and fact.kind == "demote":
            assert left < RULES.tiers.manage_from
            running[index] = at + RULES.tiers.demote_for
        if isinstance(fact, SanctionEnded) and fact.kind == "demote":
            assert fact.why == "credit"
            assert at >= running.pop(fact.start)
            told.now = at
            assert told.balance() >= RULES.tiers.manage_from or any(e.at_ms > at for e in told.entries)


@given(moves, st.data())
def test_a_reversal_ends_baseless_sanctions_and_extends_nothing(
    steps: list[tuple[int, str]], data: st.DataObject
) -> None:
    told = lived(steps, manages=True)
    told.wait(data.draw(st.sampled_from([0, HOUR, DAY, 4 * DAY])))
    before = {held.record: held for held in told.in_force()}
    told.decide(data.draw(st.sampled_from(sorted(told.cases))), "dismissed")
    for held in told.in_force():
        if held.record in before:
            assert held.until <= before[held.record].until
    if told.balance() < RULES.tiers.manage_from:
        assert told.holds("demote")
    if not told.entries or min(left_at_charges(told)) >= RULES.tiers.manage_from:
        assert not told.in_force()


def left_at_charges(told: History) -> list[int]:
    """Return the balance at each charge that was not reversed, without the reversed ones."""
    charges = [each for each in entries_in_force(told.entries) if each.entry == "charge"]
    return [
        balance(charges[:count], charges[count - 1].at_ms, RULES.credit) for count in range(1, len(charges) + 1)
    ] or [100]


def test_a_demoted_manager_stays_demoted_after_a_small_reversal() -> None:
    told = lived([(0, "bad"), (HOUR, "worst"), (HOUR, "worse")], manages=True)
    assert told.balance() == 15
    told.decide(1, "dismissed")
    assert told.balance() == 25
    assert [held.kind for held in told.in_force()] == ["demote", "mute"]


def test_a_reversed_ban_leaves_the_mute_that_would_have_been_with_its_time_counted_from_then() -> None:
    told = lived([(0, "bad"), (HOUR, "worst"), (HOUR, "worse")])
    assert [held.kind for held in told.in_force()] == ["ban"]
    told.wait(DAY)
    told.decide(1, "dismissed")
    assert [(held.kind, held.until) for held in told.in_force()] == [("mute", NOON + 2 * HOUR + 3 * DAY)]


def test_a_mute_that_has_been_served_does_not_begin_again_because_of_a_reversal() -> None:
    told = lived([(0, "worst"), (HOUR, "worse")])  # 25: muted for three days
    told.wait(4 * DAY)
    assert told.in_force() == []
    told.say("bad")  # 15: banned
    told.decide(3, "dismissed")
    assert (told.balance(), told.in_force()) == (25, [])


def test_a_person_without_charges_gets_no_facts() -> None:
    assert DEMOTED.end("time", on=1) == SanctionEnded(on=1, start=5, kind="demote", why="time", n=3, subject=ANNA)
    assert DEFAULT.tiers.manage_from == 40


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(-HOUR, HOUR)), min_size=1, max_size=20),
    st.sampled_from(["credit", "standing"]),
)
def test_charges_of_one_pass_have_the_same_effect_in_any_recording_order(
    charges: list[tuple[int, int]], ledger: str
) -> None:
    """All are judged at noon; each is recorded a little later, or earlier if the clock was set back."""
    costs = [cost for cost, _ in charges]
    assert one_look(charges, ledger) == one_look([(cost, 0) for cost in costs], ledger)
    left = [fact[1] for fact in one_look(charges, ledger) if fact[0] == "left"]
    assert left == [max(0, 100 - sum(costs[:n])) for n in range(1, len(costs) + 1)]


def one_look(charges: list[tuple[int, int]], ledger: str) -> list[tuple[object, ...]]:
    """Return the balances and sanctions from charges that are judged at one moment."""
    known, found = person(MARK, manages=frozenset({ROOM})), list[tuple[object, ...]]()
    for record, (cost, later) in enumerate(charges):
        seen = context(known)
        if ledger == "standing":
            entered = charge_standing(seen, DEFAULT, cost, rule="spam", n=1, on=record, by="")
        else:
            price = Price("charge", cost, 1)
            entered = charge(seen, DEFAULT, price, rule="spam", grade="serious", n=1, on=record, reach="")
        started = [fact for fact in tier_facts(seen, DEFAULT, entered) if isinstance(fact, SanctionStarted)]
        found += [("left", entered.left), *((fact.kind, fact.credit) for fact in started)]
        known = with_entry(known, entered, NOON + later)
        held = tuple(InForce(record, fact.kind, None, MARK, fact.until, ledger) for fact in started)
        known = replace(known, in_force=(*known.in_force, *held))
    return found


def test_a_due_sanction_is_missing_until_in_force() -> None:
    known = person(MARK, manages=frozenset({ROOM}), standing=(replace(entry(7, 65, NOON - HOUR), case=3),))
    (start,) = missing_sanctions(context(known), DEFAULT)
    assert start == SanctionStarted(
        on=7,
        kind="demote",
        until=NOON - HOUR + 22 * DAY,
        n=3,
        basis="standing",
        rule="spam",
        credit=35,
        subject=MARK,
    )
    held = InForce(9, "demote", None, MARK, NOON + DAY, "standing")
    assert missing_sanctions(context(replace(known, in_force=(held,))), DEFAULT) == ()
    assert missing_sanctions(context(replace(known, manages=frozenset())), DEFAULT) == ()


@given(moves, st.sampled_from([0, HOUR, 2 * DAY, 9 * DAY, 90 * DAY]))
def test_no_history_leaves_a_sanction_missing(steps: list[tuple[int, str]], later: int) -> None:
    told = lived(steps, manages=True)
    told.wait(later)
    assert missing_sanctions(told.context(), RULES) == ()
