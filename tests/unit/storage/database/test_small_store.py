"""The small stores: one contract, whatever the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, SmallStore, is_there, open_small_store, open_to_read
from storage.database.small_tables import Column, Index, SmallTable, blobs, numbers, texts

PEOPLE = SmallTable(
    "people",
    (*texts("user"), *blobs("key"), *numbers("at_ms"), Column("nick", "TEXT", "")),
    ("user",),
    (Index("people_by_time", ("at_ms",)),),
)
COUNTED = SmallTable("counted", (*numbers("number"), *texts("word")), ("number",))
ANNA, BEN = ("@anna:x", b"\0\xff", 1 << 40, None), ("@ben:x", b"", -1, "B")


@pytest.fixture
def where(tmp_path: Path) -> SmallPlace:
    """Provide the place of a store that is not there yet."""
    return SmallPlace(DatabasePlace(tmp_path), Path("deep") / "small.sqlite3", "small")


@pytest.fixture
def store(where: SmallPlace) -> Iterator[SmallStore]:
    """Provide an open store with two tables."""
    store = open_small_store(where)
    with store.transaction():
        store.create((PEOPLE, COUNTED))
    yield store
    store.close()


def test_what_was_written_is_read_after_it_was_opened_again(store: SmallStore, where: SmallPlace) -> None:
    with store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
        store.executemany(PEOPLE.insert(), [BEN])
    store.close()
    again = open_small_store(where)
    with again.transaction():
        again.create((PEOPLE, COUNTED))  # they are there
    assert again.execute(PEOPLE.select()).fetchall() == [ANNA, BEN]
    assert list(again.execute('SELECT "user" FROM people WHERE nick = ?', ("B",))) == [("@ben:x",)]
    again.close()


def test_a_row_is_put_in_place_of_the_one_with_its_key(store: SmallStore) -> None:
    with store.transaction():
        store.execute(PEOPLE.put(), ANNA)
        store.execute(PEOPLE.put(), (ANNA[0], b"new", 2, "A"))
        assert store.execute(PEOPLE.insert_if_new(), ANNA).rowcount == 0
        assert store.execute(PEOPLE.insert_if_new(), BEN).rowcount == 1
    assert store.execute(PEOPLE.select()).fetchall() == [("@anna:x", b"new", 2, "A"), BEN]


def test_a_transaction_that_raises_leaves_nothing(store: SmallStore) -> None:
    with pytest.raises(KeyError), store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
        raise KeyError
    with store.transaction():
        store.execute(PEOPLE.insert(), BEN)
    assert store.execute(PEOPLE.select()).fetchall() == [BEN]


def test_texts_are_in_the_order_of_their_bytes(store: SmallStore) -> None:
    words = ["B", "a", "Ä", "_", "安", "B a", "b"]
    with store.transaction():
        store.executemany(COUNTED.insert(), list(enumerate(words)))
    found = [word for (word,) in store.execute("SELECT word FROM counted ORDER BY word")]
    assert found == sorted(words, key=str.encode)


def test_the_version_is_undone_with_the_rest(store: SmallStore) -> None:
    assert store.version == 0
    with pytest.raises(KeyError), store.transaction():
        store.set_version(3)
        raise KeyError
    assert store.version == 0
    with store.transaction():
        store.set_version(2)
        store.set_version(4)
    assert store.version == 4


def test_a_reader_makes_and_changes_nothing(where: SmallPlace) -> None:
    assert (is_there(where), open_to_read(where)) == (False, None)
    store = open_small_store(where)
    with store.transaction():
        store.create((PEOPLE,))
        store.execute(PEOPLE.insert(), ANNA)
    reader = open_to_read(where)
    assert reader is not None
    assert reader.execute(PEOPLE.select()).fetchall() == [ANNA]
    assert (reader.has(PEOPLE), reader.has(COUNTED)) == (True, False)
    with pytest.raises(OSError), reader.transaction():
        reader.execute(PEOPLE.insert(), BEN)
    reader.close()
    store.close()


def test_the_file_is_its_owners_alone(store: SmallStore, where: SmallPlace) -> None:
    assert where.path.stat().st_mode & 0o777 == 0o600
