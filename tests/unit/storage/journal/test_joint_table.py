"""The joint checkpoints in PostgreSQL: one a day, put there by leaders only."""

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from moderation.values.errors import Broken
from storage.database.fence import Epoch, Superseded
from storage.database.leadership import Leadership, Me
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused
from storage.journal.joint_table import JointTable, SharedClosing

DAY = "2026-11-24"
Leader = Callable[[str], tuple[JointTable, Epoch]]


@pytest.fixture
def leader(postgres_url: str) -> Leader:
    """Provide what begins an epoch of a shard, and returns the table as its leader sees it."""

    def begun(shard: str) -> tuple[JointTable, Epoch]:
        leadership = Leadership(lambda _: psycopg.connect(postgres_url, autocommit=True), shard, Me(shard, shard))
        leadership.enrol(f"example.org/{shard}", f"key of {shard}", Path("log.key"))
        epoch = leadership.take_over(leadership.look())
        leadership.close()
        assert epoch is not None
        return JointTable(place(postgres_url, shard), epoch), epoch

    return begun


def place(url: str, shard: str) -> DatabasePlace:
    return DatabasePlace(Path("/nowhere"), SecretStr(url), shard)


def test_the_first_of_a_day_stays(leader: Leader) -> None:
    one, two = leader("one")[0], leader("two")[0]
    assert two.of_day(DAY) is None
    one.put(DAY, "root1", "note of one")
    two.put(DAY, "root2", "note of two")
    two.put("2026-11-25", "root3", "the next day")
    assert (one.of_day(DAY), two.of_day(DAY)) == ("note of one", "note of one")
    assert (one.of_root("root1"), one.of_root("root2"), one.of_root("root3")) == ("note of one", None, "the next day")


def test_of_two_that_race_one_is_kept(leader: Leader) -> None:
    tables = {name: leader(name)[0] for name in ("one", "two", "three")}
    start = threading.Barrier(len(tables))

    def put(name: str) -> None:
        start.wait()
        tables[name].put(DAY, name, f"note of {name}")

    threads = [threading.Thread(target=put, args=(name,)) for name in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {table.of_day(DAY) for table in tables.values()}
    assert len(seen) == 1
    assert seen <= {f"note of {name}" for name in tables}


def test_a_former_leader_puts_nothing_there(leader: Leader) -> None:
    former, _ = leader("one")
    now, _ = leader("one")
    with pytest.raises(Superseded):
        former.put(DAY, "root", "note")
    with pytest.raises(Superseded):
        former.enter(DAY, "note")
    assert (now.of_day(DAY), now.closings(DAY, ["one"])) == (None, [])


def test_who_does_not_lead_reads_only(leader: Leader, postgres_url: str) -> None:
    leader("one")[0].put(DAY, "root", "note")
    reader = JointTable(place(postgres_url, "two"))
    assert reader.of_day(DAY) == "note"
    with pytest.raises(Broken):
        reader.put("2026-11-25", "root", "note")


def test_a_database_of_an_older_version_has_none(postgres_url: str) -> None:
    assert JointTable(place(postgres_url, "one")).of_day(DAY) is None


def test_closings_are_those_of_the_day_and_of_these_shards(leader: Leader) -> None:
    for shard, day in (("one", DAY), ("two", DAY), ("two", "2026-11-23"), ("four", DAY)):
        leader(shard)[0].enter(day, f"{shard} {day}")
    table = leader("three")[0]
    assert table.closings(DAY, ["one", "two", "three"]) == [
        SharedClosing("one", "key of one", f"one {DAY}"),
        SharedClosing("two", "key of two", f"two {DAY}"),
    ]
    leader("two")[0].enter(DAY, "closed again")
    assert table.closings(DAY, ["two"]) == [SharedClosing("two", "key of two", "closed again")]


def test_a_day_is_over_by_the_clock_of_the_server(leader: Leader, postgres_url: str) -> None:
    table = leader("one")[0]
    with psycopg.connect(postgres_url) as db:
        [now] = db.execute("SELECT now()").fetchone() or ()
    today = dt.datetime(now.year, now.month, now.day, tzinfo=dt.UTC)
    days = {n: (today + dt.timedelta(days=n)).date().isoformat() for n in (-3, -2, 1)}
    day_ms = 86_400_000
    assert [table.is_over(days[n], 0) for n in (-3, -2, 1)] == [True, True, False]
    assert (table.is_over(days[-3], day_ms), table.is_over(days[-2], 3 * day_ms)) == (True, False)


def test_a_server_out_of_reach_is_reported() -> None:
    away = JointTable(place("postgresql://127.0.0.1:1/none", "one"))
    with pytest.raises(DatabaseRefused):
        away.of_day(DAY)
