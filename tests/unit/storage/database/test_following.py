"""Those who follow a log: what they say and how often, who is there, and that none of it waits for a disk."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage.database import shared_tables
from storage.database.fence import Epoch
from storage.database.following import Following, Follows, following, forget_silent
from storage.database.leadership import Leadership, Lease, Me
from tests.postgres.durability import watch_durability


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def db(postgres_url: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        shared_tables.make(connection)
        yield connection


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def other(clock: Clock) -> Following:
    return Following("north", "other.example.org", "2" * 16, clock)


@pytest.fixture
def said(db: "psycopg.Connection[Any]") -> Callable[[], int]:
    """Provide how often the process has spoken since the first time."""
    return lambda: db.execute("SELECT beat FROM answerable_shared.standbys").fetchall()[0][0]


def test_who_follows_is_named_with_what_it_lacks_and_could_not_do(db: Any, other: Following, clock: Clock) -> None:
    db.execute("INSERT INTO answerable_shared.log SELECT 'north', n, '', '', '' FROM generate_series(0, 9) n")
    assert following(db, "north") == ()
    other.say(db, 4, "")
    clock.now += 2
    other.say(db, 7, "a damaged day")
    (found,) = following(db, "north")
    assert found == Follows("other.example.org", 3, found.silent_s, "a damaged day")
    assert found.is_there
    assert following(db, "south") == ()
    other.say_no_more(db)
    assert following(db, "north") == ()


def test_what_is_known_is_said_seldom_and_what_is_new_soon(
    db: Any, other: Following, clock: Clock, said: Callable[[], int]
) -> None:
    for _ in range(40):  # a look each quarter of a second
        other.say(db, 4, "")
        clock.now += 0.25
    assert said() == 0
    other.say(db, 4, "")
    assert said() == 1
    for records in range(5, 13):
        clock.now += 0.25
        other.say(db, records, "")
    assert said() == 3


def test_one_that_begins_to_follow_again_says_so_at_once(db: Any, other: Following) -> None:
    other.say(db, 4, "")
    other.say_no_more(db)
    other.say(db, 4, "")
    assert len(following(db, "north")) == 1


def test_one_that_has_been_silent_for_a_minute_is_not_there_and_for_a_month_is_forgotten(
    db: Any, other: Following
) -> None:
    other.say(db, 0, "")
    db.execute("UPDATE answerable_shared.standbys SET at = now() - interval '2 minutes'")
    (found,) = following(db, "north")
    assert not found.is_there
    forget_silent(db, "north")
    assert following(db, "north") != ()
    db.execute("UPDATE answerable_shared.standbys SET at = now() - interval '31 days'")
    forget_silent(db, "south")
    assert following(db, "north") != ()
    forget_silent(db, "north")
    assert following(db, "north") == ()


def test_a_leader_forgets_silent_ones_each_day_that_it_leads(
    db: Any, other: Following, clock: Clock, postgres_url: str
) -> None:
    beats = threading.Event()

    def waits(_: float) -> None:
        beats.set()

    lease = Lease(_sessions(postgres_url), _began(postgres_url, "1" * 16), clock)
    lease._over.wait = waits  # type: ignore[method-assign, assignment]
    other.say(db, 0, "")
    db.execute("UPDATE answerable_shared.standbys SET at = now() - interval '31 days'")
    lease.start()
    try:
        assert beats.wait(60)
        clock.now += 86_000
        for _ in range(2):  # the first of them may have begun before
            beats.clear()
            assert beats.wait(60)
        assert following(db, "north") != ()
        clock.now += 400
        for _ in range(2):
            beats.clear()
            assert beats.wait(60)
        assert following(db, "north") == ()
    finally:
        lease.stop()


def test_one_that_begins_to_lead_is_no_standby_of_itself(db: Any, other: Following, postgres_url: str) -> None:
    """It was killed while it stood by, and is started alone."""
    other.say(db, 0, "")
    _began(postgres_url, "1" * 16)
    assert len(following(db, "north")) == 1
    _began(postgres_url, "2" * 16)
    assert following(db, "north") == ()


def test_what_is_said_waits_for_no_disk_and_what_follows_does_again(db: Any, other: Following) -> None:
    durability = watch_durability(db, "standbys")
    other.say(db, 4, "")
    assert durability() == {"off"}
    assert db.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_tables_of_an_earlier_version_are_completed(db: Any, other: Following) -> None:
    db.execute("ALTER TABLE answerable_shared.standbys DROP COLUMN at, DROP COLUMN unfinished")
    shared_tables.make(db)
    other.say(db, 4, "")
    assert [each.is_there for each in following(db, "north")] == [True]


def test_a_process_counts_as_there_for_a_minute() -> None:
    assert Follows("other", 0, 59, "").is_there
    assert not Follows("other", 0, 60, "").is_there


def _sessions(url: str) -> Callable[[str], "psycopg.Connection[Any]"]:
    return lambda name: psycopg.connect(url, autocommit=True, application_name=name)


def _began(url: str, instance: str) -> Epoch:
    """Begin an epoch on the machine that is named so."""
    leadership = Leadership(_sessions(url), "north", Me("one.example.org", instance))
    try:
        leadership.enrol("example.org/log", "vkey", Path("keys/log.key"))
        epoch = leadership.take_over(leadership.look())
    finally:
        leadership.close()
    assert epoch is not None
    return epoch
