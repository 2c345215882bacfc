"""Searching the records from the newest back."""

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import MonkeyPatch

from moderation.values.errors import Broken
from moderation.values.ids import PersonId
from storage.database.place import DatabasePlace
from storage.journal import newest
from storage.journal.days import list_days
from storage.journal.journal import Journal
from storage.journal.newest import newest_below, newest_first
from storage.journal.query import Query
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.search import line_index

NOON, DAY_MS = 1_795_521_600_000, 86_400_000
ANNA = "@anna:example.org"


def message(body: str, at_ms: int) -> Draft:
    return Draft("message", at_ms, "G-7F3K", parts=(Part(PersonId(ANNA), {"mxid": ANNA, "body": body}),))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Provide a log of three days with four messages each, two of them closed."""
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    with Journal.open(tmp_path, "example.org/log", keys, NOON) as journal:
        for day in range(3):
            at_ms = NOON + day * DAY_MS
            journal.append([message(f"Coins {day}", at_ms), *(message(f"words {each}", at_ms) for each in range(3))])
        journal.close(NOON + 2 * DAY_MS)
    keys.close()
    return tmp_path / "records"


def numbers(log: Path, query: Query, words: str = "", *, below: int = 10**9, most: int = 100) -> list[int]:
    return [orjson.loads(raw)["i"] for raw in newest_first(log, query, words, below=below, most=most)]


def test_records_come_from_the_newest_back_and_in_pages(log: Path) -> None:
    everything = numbers(log, Query())
    assert everything == sorted(everything, reverse=True)
    assert everything[-1] == 0
    pages: list[int] = []
    while page := numbers(log, Query(), below=pages[-1] if pages else 10**9, most=5):
        assert len(page) <= 5
        pages += page
    assert pages == everything


def test_only_what_fits_is_found(log: Path) -> None:
    messages = numbers(log, Query(kinds=frozenset({"message"})))
    assert len(messages) == 12
    assert numbers(log, Query(person=ANNA), "cOINS") == [
        each for each in messages if each in numbers(log, Query(), "coins")
    ]
    assert len(numbers(log, Query(), "coins")) == 3
    assert numbers(log, Query(), "coins", most=2) == numbers(log, Query(), "coins")[:2]
    assert numbers(log, Query(until_ms=NOON + DAY_MS), "coins") == numbers(log, Query(), "coins")[2:]
    assert numbers(log, Query(), "nothing of the kind") == []


@given(st.text("01\n", max_size=60).map(str.encode), st.integers(1, 9))
def test_a_file_read_backwards_has_the_same_lines(data: bytes, block: int) -> None:
    lines = data.split(b"\n")[-2::-1]
    with TemporaryDirectory() as folder, MonkeyPatch.context() as patch:
        (path := Path(folder) / "file").write_bytes(data)
        patch.setattr(newest, "_BLOCK", block)
        assert [*newest._backwards(path, lambda _: True)] == lines
        fitting = newest._backwards(path, lambda text: b"1" in text)
        assert [line for line in fitting if b"1" in line] == [line for line in lines if b"1" in line]


def test_a_closed_day_is_read_again_if_too_few_of_its_lines_are_kept(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ((Query(), ""), (Query(), "words"), (Query(kinds=frozenset({"message"})), ""))
    whole = [numbers(log, query, words) for query, words in queries]
    for most in (1, 2, 3):
        monkeypatch.setattr(newest, "_MOST_KEPT", most)
        assert [numbers(log, query, words) for query, words in queries] == whole
    assert newest_below(log, 3) == next(newest_first(log, Query(), below=3, most=1))
    assert newest_below(log, 0) is None


def test_a_damaged_line_stands_on_one_page_alone(log: Path) -> None:
    day = list_days(log / "day")[-1].path
    lines = day.read_bytes().split(b"\n")
    lines[1] = b"damaged"
    day.write_bytes(b"\n".join(lines))
    first = [*newest_first(log, Query(), most=3)]
    rest = [*newest_first(log, Query(), below=min(index for index in map(line_index, first) if index >= 0), most=100)]
    assert b"damaged" in first
    assert [*first, *rest] == [*newest_first(log, Query(), most=100)]


def test_damage_is_told(log: Path) -> None:
    day = list_days(log / "day")[-1].path
    day.write_bytes(day.read_bytes().replace(b'"k":"message"', b'"k":message"'))
    for query, words in ((Query(kinds=frozenset({"message"}), person=ANNA), ""), (Query(), "words")):
        with pytest.raises(Broken, match="line"):
            numbers(log, query, words)
