"""The records that count in other shards, and the parts that these learn."""

from dataclasses import replace

import pytest

from moderation.model.facts import (
    FACTS,
    AccountsLinked,
    AccountUnlinked,
    CreditChanged,
    DataAsked,
    EntryConfirmed,
    Fact,
    Learnt,
    ListSpared,
    OrderedEverywhere,
    OrderRecalled,
    PersonVerified,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.shards.applying import applied
from moderation.shards.crossing import LogPlace, Purged, crosses, learnt, named, needed
from moderation.values.errors import Invalid
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, MARK, NOON, ROOM

TWIN = UserId("@twin:example.org")
PLACE = LogPlace("example.org/one", 700, NOON, 710, "ab" * 32)

CHARGE = CreditChanged(
    room=ROOM, on=3, entry="charge", cost=25, grade="serious", rule="spam", n=4, left=75, subject=ANNA
)
HERE_ONLY = replace(CHARGE, reach="garden-club")
CONFIRMED = EntryConfirmed(room=ROOM, start=9, n=4, subject=ANNA, by=MARK)
BARRED = SanctionStarted(
    kind="ban", until=NOON + 9, n=4, basis="operator", rule="barred", subject=ANNA, by=MARK, reason="he lies"
)
ENDED = SanctionEnded(start=9, kind="ban", why="reversed", n=4, subject=ANNA, by=MARK, reason="he does not")
PROLONGED = SanctionExtended(start=9, kind="ban", until=NOON, subject=ANNA)
VOUCHED = PersonVerified(room=ROOM, method="vouch", level=2, until=NOON + 9, subject=ANNA, by=MARK)
LINKED = AccountsLinked(method="oidc", subject=TWIN, target=ANNA)
SPARED = ListSpared(room=ROOM, list="cme", subject=ANNA, by=MARK, reason="known")
ERASE = DataAsked(what="erase-confirmed", subject=ANNA)

# What crosses, with the record that it needs, and as what it is applied.
CROSSING: list[tuple[Fact, Fact | Purged | None, Fact | None]] = [
    (CHARGE, None, replace(CHARGE, room=None, on=-1, n=0, left=0)),
    (CONFIRMED, HERE_ONLY, replace(CHARGE, room=None, on=-1, n=0, left=0)),
    (VOUCHED, None, replace(VOUCHED, room=None, by=UserId(""))),
    (
        PersonVerified(step="revoked", method="vouch", level=0, until=0, undoes=9, subject=ANNA, by=MARK),
        VOUCHED,
        PersonVerified(step="revoked", method="vouch", level=0, until=0, undoes=50, subject=ANNA),
    ),
    (LINKED, None, LINKED),
    (
        AccountUnlinked(start=9, subject=TWIN, target=ANNA, reason="a mistake"),
        None,
        AccountUnlinked(start=50, subject=TWIN, target=ANNA),
    ),
    (ENDED, Purged(), replace(ENDED, start=50, n=0, by=UserId(""), reason="")),
    (BARRED, None, replace(BARRED, n=0, by=UserId(""), reason="")),
    (PROLONGED, BARRED, replace(PROLONGED, start=50)),
    (ENDED, BARRED, replace(ENDED, start=50, n=0, by=UserId(""), reason="")),
    (SPARED, None, replace(SPARED, room=None, by=UserId(""), reason="")),
    (ERASE, None, None),
]

# What does not: it reaches one community, or every shard finds it by itself.
STAYING: list[tuple[Fact, Fact | Purged | None]] = [
    (HERE_ONLY, None),
    (CONFIRMED, None),  # the record is gone
    (CONFIRMED, CHARGE),  # it counted everywhere before
    (replace(VOUCHED, reach="garden-club"), None),
    (replace(SPARED, reach="G-7F3K"), None),
    (replace(BARRED, room=ROOM), None),
    (replace(BARRED, reach="garden-club", room=ROOM), None),
    (replace(BARRED, kind="mute"), None),
    (replace(BARRED, basis="credit"), None),
    (replace(BARRED, kind="demote", basis="credit"), None),
    (replace(BARRED, basis="list"), None),
    (ENDED, replace(BARRED, basis="credit")),
    (ENDED, None),
    (replace(ENDED, why="time"), Purged()),
    (CONFIRMED, Purged()),  # nobody knows its cost
    (replace(ERASE, what="erase"), None),
]


@pytest.mark.parametrize(("fact", "about", "as_here"), CROSSING, ids=lambda each: type(each).__name__)
def test_what_reaches_the_deployment_crosses_without_what_means_something_at_home_only(
    fact: Fact, about: Fact | Purged | None, as_here: Fact | None
) -> None:
    got = learnt(fact, PLACE, about, NOON - 5)
    assert applied(got, 50 if got.refers >= 0 else -1) == as_here


@pytest.mark.parametrize(("fact", "about"), STAYING, ids=lambda each: type(each).__name__)
def test_what_concerns_one_community_or_is_found_by_each_shard_stays(fact: Fact, about: Fact | Purged | None) -> None:
    assert not crosses(fact, about)
    with pytest.raises(Invalid):
        learnt(fact, PLACE, about)


def test_no_other_kind_of_fact_crosses_and_nothing_is_passed_on() -> None:
    known = {type(fact) for fact, *_ in CROSSING}
    assert known | {Learnt} <= set(FACTS)
    assert not crosses(learnt(CHARGE, PLACE))


def test_a_confirmed_entry_keeps_its_date_and_the_place_of_the_entry() -> None:
    got = learnt(CONFIRMED, PLACE, HERE_ONLY, NOON - 5)
    assert (got.index, got.made, got.confirmed, got.position) == (9, NOON - 5, 700, 700)


def test_what_was_recorded_of_a_proof_is_kept() -> None:
    got = learnt(CHARGE, PLACE)
    assert (got.origin, got.index, got.made, got.size, got.root, got.era, got.position) == (
        "example.org/one",
        700,
        NOON,
        710,
        "ab" * 32,
        "-",
        700,
    )


@pytest.mark.parametrize(
    "end",
    [
        ENDED,
        PROLONGED,
        PersonVerified(step="revoked", method="vouch", level=0, until=0, undoes=9, subject=ANNA, by=MARK),
        AccountUnlinked(start=9, subject=TWIN, target=ANNA, reason="a mistake"),
        ListSpared(step="unspared", list="cme", undoes=9, subject=ANNA),
        ListSpared(step="unspared", list="cme", undoes=9, server="bad.example"),
        OrderRecalled(start=9, why="reversed", n=4, subject=ANNA, by=MARK),
    ],
    ids=lambda each: f"{type(each).__name__} {getattr(each, 'server', '')}".strip(),
)
def test_an_end_that_is_named_is_learnt_as_if_the_beginning_could_still_be_shown(end: Fact) -> None:
    begun = Learnt(what="barred", origin="example.org/three", index=40, era="r1", made=NOON, size=41, root="cd" * 32)
    whats = {"PersonVerified": "verified", "ListSpared": "spared"}
    shown = replace(begun, what=whats.get(type(end).__name__, "barred"))  # type: ignore[arg-type]
    about = (
        OrderedEverywhere(n=7, origin="example.org/three", index=40, era="r1", subject=ANNA)
        if isinstance(end, OrderRecalled)
        else shown
    )
    there = LogPlace("example.org/three", 40, NOON, 41, "cd" * 32, "r1")
    assert needed(named(end, there)) == -1
    assert learnt(named(end, there), PLACE) == learnt(end, PLACE, about)
