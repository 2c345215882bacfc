"""The small stores: one contract, whatever the engine."""

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from moderation.values.errors import Broken
from storage.database import server_seen
from storage.database.fence import Superseded
from storage.database.refusals import refusal_of
from storage.database.server_seen import ServerSeen
from storage.database.small_store import SmallPlace, SmallStore, is_there, open_small_store, open_to_read
from storage.database.small_tables import Column, Index, SmallTable, blobs, numbers, texts
from tests.postgres import keeper
from tests.postgres.engines import Engine, on_postgresql, on_sqlite
from tests.postgres.server import Server, own_server

PEOPLE = SmallTable(
    "people",
    (*texts("user"), *blobs("key"), *numbers("at_ms"), Column("nick", "TEXT", "")),
    ("user",),
    (Index("people_by_time", ("at_ms",)),),
)
COUNTED = SmallTable("counted", (*numbers("number"), *texts("word")), ("number",))
ANNA, BEN = ("@anna:x", b"\0\xff", 1 << 40, None), ("@ben:x", b"", -1, "B")


@pytest.fixture
def where(engine: Engine, tmp_path: Path) -> SmallPlace:
    """Provide the place of a store that is not there yet."""
    return SmallPlace(engine.place(tmp_path), Path("deep") / "small.sqlite3", "small")


@pytest.fixture
def store(where: SmallPlace, engine: Engine) -> Iterator[SmallStore]:
    """Provide an open store with two tables."""
    store = open_small_store(where, engine.epoch())
    with store.transaction():
        store.create((PEOPLE, COUNTED))
    yield store
    store.close()


def test_what_was_written_is_read_after_it_was_opened_again(
    store: SmallStore, where: SmallPlace, engine: Engine
) -> None:
    with store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
        store.executemany(PEOPLE.insert(), [BEN])
    store.close()
    again = open_small_store(where, engine.epoch())
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


def test_a_reader_makes_and_changes_nothing(where: SmallPlace, engine: Engine) -> None:
    assert (is_there(where), open_to_read(where)) == (False, None)
    store = open_small_store(where, engine.epoch())
    with store.transaction():
        store.create((PEOPLE,))
        store.execute(PEOPLE.insert(), ANNA)
    reader = open_to_read(where)
    assert reader is not None
    assert reader.execute(PEOPLE.select()).fetchall() == [ANNA]
    assert (reader.has(PEOPLE), reader.has(COUNTED)) == (True, False)
    with pytest.raises((OSError, Broken)), reader.transaction():
        reader.execute(PEOPLE.insert(), BEN)
    reader.close()
    store.close()


@on_sqlite
def test_the_file_is_its_owners_alone(store: SmallStore, where: SmallPlace) -> None:
    assert where.path.stat().st_mode & 0o777 == 0o600


@on_postgresql
def test_a_former_leader_cannot_change_anything(store: SmallStore, where: SmallPlace, engine: Engine) -> None:
    with store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
    with pytest.raises(OSError, match="terminat"), store.transaction():
        store.execute(PEOPLE.insert(), BEN)
        engine.take_over()  # does not wait for a leader that was paused in a transaction
        store.execute(PEOPLE.insert(), ("@carla:x", b"", 0, None))
    now = open_to_read(where)
    assert now is not None
    assert now.execute(PEOPLE.select()).fetchall() == [ANNA]
    now.close()


@on_postgresql
def test_a_leader_of_an_earlier_epoch_is_told_so(store: SmallStore, where: SmallPlace, engine: Engine) -> None:
    former = engine.epoch()
    engine.take_over()
    late = open_small_store(where, former)
    with pytest.raises(Superseded), late.transaction():
        pytest.fail("it may not even begin")
    late.close()


@on_postgresql
def test_nothing_is_changed_outside_of_a_transaction(store: SmallStore) -> None:
    with pytest.raises(OSError, match="read-only"):
        store.execute(PEOPLE.insert(), ANNA)


@on_postgresql
def test_a_store_without_an_epoch_is_not_opened_for_changes(where: SmallPlace) -> None:
    with pytest.raises(Broken, match="leader"):
        open_small_store(where)


@on_postgresql
def test_a_transaction_that_went_on_after_an_error_is_not_taken_for_done(store: SmallStore) -> None:
    with pytest.raises(Broken, match="undone"), store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
        with suppress(psycopg.Error):
            store.execute(PEOPLE.insert(), ANNA)


@on_postgresql
def test_what_the_engine_cannot_hold_is_replaced_when_written_and_when_looked_for(store: SmallStore) -> None:
    with store.transaction():
        store.execute(PEOPLE.insert(), ("@a\0b:x", b"\0", 1, None))
    found = store.execute('SELECT "user" FROM people WHERE "user" = ?', ("@a\0b:x",)).fetchall()
    assert found == [("@a\ufffdb:x",)]


@on_postgresql
def test_a_commit_waits_for_the_disk_whatever_the_server_is_set_to(store: SmallStore, engine: Engine) -> None:
    assert store.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_server_that_stops_is_a_failure_of_the_disk(own_postgres: Server, tmp_path: Path) -> None:
    own = Engine(own_postgres.url())
    where = SmallPlace(own.place(tmp_path), Path("small.sqlite3"), "small")
    store = open_small_store(where, own.epoch())
    own_postgres.kill()
    with pytest.raises(OSError) as failed, store.transaction():
        store.create((PEOPLE,))
    assert refusal_of(failed.value) is not None
    with pytest.raises(OSError), store.transaction():
        store.create((PEOPLE,))
    with pytest.raises(OSError):
        open_small_store(where, own.epoch())


@on_sqlite
def test_a_file_has_no_server(store: SmallStore) -> None:
    assert store.server() is None


def test_a_server_that_was_promoted_is_another_one_and_one_that_crashed_is_not(tmp_path: Path) -> None:
    with own_server(settings={"wal_level": "replica"}) as server:
        own = Engine(server.url())
        where = SmallPlace(own.place(tmp_path), Path("small.sqlite3"), "small")
        own.epoch()

        def seen() -> ServerSeen | None:
            with closing(open_small_store(where, own.epoch())) as store, store.transaction():
                return store.server()

        first = seen()
        assert first is not None
        assert not first.is_copied
        server.kill()
        server.start()
        assert seen() == first
        server.stop()
        (server.folder / keeper.DATA / "standby.signal").touch()
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as admin:
            assert admin.execute("SELECT pg_promote(true, 300)").fetchone() == (True,)
        promoted = seen()
        assert promoted is not None
        assert promoted.name != first.name
        assert seen() == promoted


@on_postgresql
def test_a_server_that_does_not_say_which_it_is_disturbs_nothing(
    store: SmallStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_seen, "WHICH", "SELECT there_is_no_such_function()")
    with store.transaction():
        store.execute(PEOPLE.insert(), ANNA)
        assert store.server() is None
    assert store.execute(PEOPLE.select()).fetchall() == [ANNA]
