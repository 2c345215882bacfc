"""Searching records: the right ones, from the newest back, and new ones as they arrive."""

from typing import Any

import pytest

from moderation.values.errors import Broken
from storage.journal.line_format import decode
from storage.journal.query import Query, follow, group_of_room, last
from storage.journal.record import NOBODY, Draft, Part

NOON, DAY_MS = 1_795_521_600_000, 86_400_000


@pytest.fixture
def log(place: Any, tools: Any) -> Any:
    """Provide a log of three days.

    0 genesis; 1 anna, 2 ben, 3 start on the first day; 4 anna, 5 notice on the next; 6 anna on the third, open.
    """
    with place.open() as journal:
        journal.append([tools.message("one"), tools.message("two", NOON + 1, "@ben:example.org"), tools.start()])
        journal.append([tools.message("three", NOON + DAY_MS), tools.notice(NOON + DAY_MS)])
        journal.append([tools.message("four", NOON + 2 * DAY_MS)])
        journal.close(NOON)
    return place


def indices(place: Any, query: Query, count: int = 0) -> list[int]:
    return [decode(raw).index for raw in last(place.folder, query, count)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), [0, 1, 2, 3, 4, 5, 6]),
        (Query(person="@anna:example.org"), [1, 4, 6]),
        (Query(person="@ann"), []),
        (Query(groups=frozenset({"G-7F3K"})), [1, 2, 4, 5, 6]),
        (Query(groups=frozenset({"G-2222"})), []),
        (Query(kinds=frozenset({"start", "notice"})), [3, 5]),
        (Query(since_ms=NOON + 1), [2, 4, 5, 6]),
        (Query(until_ms=NOON + 1), [0, 1, 3]),
        (Query(since_ms=NOON + 1, until_ms=NOON + 2 * DAY_MS), [2, 4, 5]),
    ],
)
def test_records_match_the_filters(log: Any, query: Query, expected: list[int]) -> None:
    assert indices(log, query) == expected


def test_text_is_found_wherever_it_stands(place: Any, tools: Any) -> None:
    texts = ["needle in front", "nothing", "at the end a needle", "needle and needle", "two\nneedles"]
    with place.open() as journal:
        for at in (NOON, NOON + DAY_MS):
            journal.append([tools.message(text, at) for text in texts])
        journal.close(NOON)
    assert indices(place, Query(text=b"needle")) == [1, 3, 4, 5, 6, 8, 9, 10]
    assert indices(place, Query(text=b"needle"), 2) == [9, 10]
    assert indices(place, Query(text=b"}\n{")) == []
    assert indices(place, Query(text=b'{"i":3,')) == [3]
    assert indices(place, Query(text=b'=="}]}')) == list(range(11))


@pytest.mark.parametrize(("count", "expected"), [(1, [6]), (2, [5, 6]), (4, [3, 4, 5, 6]), (100, list(range(7)))])
def test_the_last_ones(log: Any, count: int, expected: list[int]) -> None:
    assert indices(log, Query(), count) == expected


def test_a_record_older_than_its_day_is_found_by_its_time(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.close_day(NOON + DAY_MS)
        journal.append([tools.message(at_ms=NOON + 5)])
    assert indices(place, Query(since_ms=NOON, until_ms=NOON + 10, kinds=frozenset({"message"}))) == [1]


def test_damage_is_named_not_passed_over(log: Any) -> None:
    log.change("day/2026-11-26.jsonl", b'"i":6', b'"i";6')
    with pytest.raises(Broken, match=r"2026-11-26\.jsonl, line 1"):
        last(log.folder, Query(), 1)


def test_records_as_they_come_over_the_end_of_days(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message("old")])
        coming = follow(place.folder, Query(kinds=frozenset({"message"})), after=1)
        assert next(coming) is None
        journal.append([tools.message("a"), tools.start(), tools.message("b")])
        assert [decode(raw).index for raw in iter(lambda: next(coming), None)] == [2, 4]
        journal.append([tools.message("c")])
        journal.append([tools.message("d", NOON + DAY_MS), tools.message("e", NOON + 2 * DAY_MS)])
        journal.append([tools.message("f", NOON + 2 * DAY_MS)])
        assert [decode(raw).index for raw in iter(lambda: next(coming), None)] == [5, 6, 7, 8]
        assert next(coming) is None
        coming.close()


def test_following_waits_for_the_end_of_a_line_and_survives_a_cut(place: Any, tools: Any) -> None:
    with place.open() as journal:
        journal.append([tools.message("a")])
    whole = place.day().read_bytes()
    place.day().write_bytes(whole[:-20])
    coming = follow(place.folder, Query(), after=0)
    assert next(coming) is None
    with place.open() as journal:  # cuts off the incomplete end
        assert next(coming) is None
        journal.append([tools.start()])
        assert [decode(raw).kind for raw in iter(lambda: next(coming), None)] == ["start"]


def test_the_group_of_a_room(place: Any) -> None:
    with place.open() as journal:
        for code in ("G-2222", "G-3333"):
            fields: dict[str, int | str] = {"what": "entered", "code": code}
            room = Part(NOBODY, {"room_id": "!room:example.org"})
            journal.append([Draft("state", NOON, fields=fields, parts=(room,))])
    assert group_of_room(place.folder, "!room:example.org") == "G-3333"
    assert group_of_room(place.folder, "!other:example.org") is None
