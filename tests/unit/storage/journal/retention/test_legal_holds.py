"""A hold's coverage follows from the records and the time; a hold that cannot be understood covers everything."""

from typing import Any

import pytest

from moderation.values.errors import Invalid
from moderation.values.ids import PersonId
from storage.journal.record import NOBODY, Draft, Part
from storage.journal.retention.find import parts_in
from storage.journal.retention.legal_holds import Covers, HoldsInForce, holds_in_force, holds_of
from storage.journal.retention.ranges import Ranges
from storage.journal.retention.targets import Targets

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
ANNA, BEN = "@anna:example.org", "@ben:example.org"
ALL = Targets.of([(index, place) for index in range(20) for place in range(2)])


@pytest.fixture
def log(place: Any, tools: Any) -> Any:
    """Provide a log of records about anna and ben.

    1 anna, 2 ben; 3 a finding on 1, 4 case 7 on 1, 5 its decision; 6 about both; 7 ben, elsewhere, a day later.
    """
    anna = Part(PersonId(ANNA), {"as": "subject", "mxid": ANNA})
    with place.open() as journal:
        journal.append([tools.message("one"), tools.message("two", person=BEN)])
        journal.append([Draft("finding", NOON, "G-7F3K", {"rule": "r", "on": 1}, (anna,))])
        journal.append([Draft("case", NOON, "G-7F3K", {"n": 7, "step": "opened", "on": 1}, (anna,))])
        journal.append([Draft("decision", NOON, "G-7F3K", {"n": 7, "what": "upheld", "on": 4}, (anna,))])
        journal.append([tools.two_parts()])
        journal.append([Draft("message", NOON + DAY_MS, "G-2222", parts=(Part(PersonId(BEN), {"mxid": BEN}),))])
        journal.close(NOON)
    return place


@pytest.mark.parametrize(
    ("covers", "held"),
    [
        ('{"persons":["@anna:example.org"]}', "1,3-5;1:6"),
        ('{"persons":["@anna:example.org","@ben:example.org"]}', "1-7;1:6"),
        ('{"groups":["G-2222"]}', "7"),
        ('{"cases":[7]}', "1,3-5"),
        ('{"cases":[8]}', ""),
        ('{"records":"2-3,6"}', "2-3,6;1:6"),
        (f'{{"since":{NOON + 1}}}', "7"),
        (f'{{"until":{NOON + 1}}}', "1-6;1:6"),
        ('{"persons":["@ben:example.org"],"records":"1-6"}', "2,6"),
        (f'{{"persons":["@ben:example.org"],"groups":["G-2222"],"until":{NOON}}}', ""),
        ('{"records":""}', ""),
        ("not understood", "1-7;1:6"),
        ("{}", "1-7;1:6"),
        ('{"colour":"red"}', "1-7;1:6"),
    ],
)
def test_a_legal_hold_covers_its_records(log: Any, tools: Any, covers: str, held: str) -> None:
    with log.open(NOON + DAY_MS) as journal:
        [hold] = journal.append([tools.hold(covers, NOON + 9 * DAY_MS, NOON + DAY_MS)])
        journal.close(NOON + DAY_MS)
    found = parts_in(log.folder, ALL, holds_in_force(log.folder, NOON + 2 * DAY_MS))
    assert {index: targets.text for index, targets in found.held.items()} == ({hold: held} if held else {})
    assert found.targets | Targets.parse(held) == parts_in(log.folder, ALL, HoldsInForce()).targets


def test_a_hold_whose_time_is_over_may_be_purged_with_its_day(place: Any, tools: Any) -> None:
    later = NOON + 200 * DAY_MS
    with place.open() as journal:
        [hold] = journal.append([tools.hold('{"records":"0"}', NOON + DAY_MS)])
        [_, by] = journal.append([tools.message(at_ms=later), tools.purge(2, later)])
        assert holds_in_force(place.folder, NOON).holds[0].index == hold
        journal.purge(2, by)
        assert holds_in_force(place.folder, NOON).holds == ()
        journal.close(later)
    with place.open(later) as journal:
        assert holds_in_force(place.folder, NOON).holds == ()


def test_a_hold_ends_by_itself_or_is_ended(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.hold('{"cases":[1]}', NOON + 100), tools.hold('{"cases":[2]}', NOON + 200)])
        journal.append([Draft("hold", NOON + 50, fields={"step": "ended", "start": 2})])
        journal.append([Draft("hold", NOON + 50, fields={"step": "ended", "start": 99})])
        records = list(journal.read(1))
    holds = holds_of(records)
    assert [hold.index for hold in holds] == [1, 2]
    assert [[hold.is_in_force(NOON + ms) for hold in holds] for ms in (0, 49, 50, 99, 100)] == [
        [True, True],
        [True, True],
        [True, False],
        [True, False],
        [False, False],
    ]
    assert holds[0].duty == "a claim in court"


def test_a_hold_whose_end_cannot_be_read_does_not_end_by_itself(place: Any) -> None:
    with place.open() as journal:
        journal.append([Draft("hold", NOON, fields={"step": "placed"}, parts=(Part(NOBODY, {"covers": 5}),))])
        [hold] = holds_of(journal.read(1))
    assert hold.is_in_force(NOON + 10_000 * DAY_MS)
    assert hold.covers == Covers()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "JSON object"),
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ("{}", "what it covers"),
        ('{"persons":"@a:b"}', "persons must be"),
        ('{"persons":["anna"]}', "persons must be"),
        ('{"groups":["!room:b"]}', "groups must be"),
        ('{"cases":["7"]}', "cases must be"),
        ('{"cases":[true]}', "cases must be"),
        ('{"records":"7-3"}', "record numbers"),
        ('{"since":"yesterday"}', "since must be"),
        ('{"until":-1}', "until must be"),
        ('{"person":["@a:b"]}', "'person' is not among"),
    ],
)
def test_an_invalid_hold_is_explained(text: Any, what: str) -> None:
    with pytest.raises(Invalid, match=what):
        Covers.parse(text)


def test_the_text_of_what_is_covered() -> None:
    covers = Covers(frozenset({BEN, ANNA}), frozenset({"G-2222"}), frozenset({7}), Ranges.parse("1-3"), 0, 5)
    assert Covers.parse(covers.text) == covers
    assert covers.text == (
        '{"persons":["@anna:example.org","@ben:example.org"],"groups":["G-2222"],"cases":[7],"records":"1-3",'
        '"since":0,"until":5}'
    )
