"""A log on PostgreSQL has one leader at a time, and what an old one still writes is refused."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from moderation.values.errors import Refused
from storage.database.fence import Epoch, is_superseded
from storage.database.leadership import LEASE_S, PATIENCE_S, Leadership, Lease, Me
from storage.database.refusals import DatabaseRefused

KEY = Path("keys/log.key")
ONE, OTHER = Me("one.example.org", "1" * 16), Me("other.example.org", "2" * 16)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def connect(postgres_url: str) -> Iterator[Callable[[str], "psycopg.Connection[Any]"]]:
    made: list[psycopg.Connection[Any]] = []

    def connect(name: str) -> "psycopg.Connection[Any]":
        made.append(psycopg.connect(postgres_url, autocommit=True, application_name=name))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@contextmanager
def seen_by(connect: Any, me: Me, clock: Callable[[], float] = time.monotonic) -> Iterator[Leadership]:
    leadership = Leadership(connect, "north", me, clock)
    leadership.enrol("example.org/log", "vkey", KEY)
    try:
        yield leadership
    finally:
        leadership.close()


def began(leadership: Leadership) -> Epoch:
    epoch = leadership.take_over(leadership.look())
    assert epoch is not None
    return epoch


def test_the_first_to_come_begins_the_first_epoch_and_a_transaction_of_it_is_let_through(connect: Any) -> None:
    with seen_by(connect, ONE) as one:
        found = one.look()
        assert (found.epoch, found.who, one.may_take_over(found)) == (0, "", True)
        epoch = began(one)
        assert (epoch.shard, epoch.number, one.look().who) == ("north", 1, "one.example.org")
        with connect(epoch.application_name).transaction() as _:
            pass
        connect("any").execute(epoch.check_sql)


def test_of_two_that_start_at_once_one_leads(connect: Any) -> None:
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        found = one.look(), other.look()
        assert found[0] == found[1]
        assert one.take_over(found[0]) is not None
        assert other.take_over(found[1]) is None
        assert not other.may_take_over(other.look())


def test_the_epoch_that_is_over_writes_nothing_whatever_it_looks_at(connect: Any) -> None:
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        old = began(one)
        began(other)
        db = connect("late")
        db.execute("CREATE TABLE written (n int)")
        with pytest.raises(psycopg.Error) as caught, db.pipeline():
            db.execute("BEGIN")
            db.execute(old.check_sql)
            db.execute("INSERT INTO written VALUES (1)")
            db.execute("COMMIT")
        assert is_superseded(caught.value)
        db.rollback()
        assert db.execute("SELECT count(*) FROM written").fetchone() == (0,)


def test_an_open_transaction_of_a_leader_that_was_paused_is_undone_before_the_next_epoch(connect: Any) -> None:
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        old = began(one)
        paused = connect(old.application_name)
        paused.execute("CREATE TABLE written (n int)")
        paused.execute("BEGIN")
        paused.execute(old.check_sql)
        paused.execute("INSERT INTO written VALUES (1)")
        new = began(other)
        assert new.number == 2
        with pytest.raises(psycopg.OperationalError):
            paused.execute("COMMIT")
        assert connect("any").execute("SELECT count(*) FROM written").fetchone() == (0,)


def test_an_epoch_does_not_begin_while_a_transaction_that_cannot_be_ended_holds_the_old_one(connect: Any) -> None:
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        old = began(one)
        unknown = connect("by another name")
        unknown.execute("BEGIN")
        unknown.execute(old.check_sql)
        taken: list[Epoch | None] = []
        waiting = threading.Thread(target=lambda: taken.append(other.take_over(one.look())))
        waiting.start()
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        watch, ends = connect("watch"), time.monotonic() + 60
        while watch.execute(blocked).fetchone() == (0,):
            assert time.monotonic() < ends
        assert taken == []
        unknown.execute("COMMIT")
        waiting.join()
        assert [epoch.number for epoch in taken if epoch] == [2]


def test_a_leader_is_gone_once_its_beat_has_stood_still_for_the_other_ones_clock(connect: Any) -> None:
    clock = Clock()
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER, clock) as other:
        epoch = began(one)
        assert not _gone_after(other, clock, PATIENCE_S - 1)
        connect("beat").execute("UPDATE answerable_shared.leaders SET beat = beat + 1")
        assert not _gone_after(other, clock, PATIENCE_S - 1)
        assert not _gone_after(other, clock, 0.5)
        assert _gone_after(other, clock, 0.5)
        one.resign(epoch)


def test_time_in_which_nobody_looked_at_the_leader_is_no_silence_of_it(connect: Any) -> None:
    clock = Clock()
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER, clock) as other:
        began(one)
        leader = other.look()
        clock.now += 2 * PATIENCE_S  # this one copied a long log, or was suspended
        assert not other.may_take_over(leader)
        assert not other.may_take_over(other.look())  # the leader may have been suspended beside it
        assert not _gone_after(other, clock, PATIENCE_S - 0.5)
        assert _gone_after(other, clock, 0.5)


def test_a_look_that_the_server_held_up_begins_to_wait_anew(connect: Any) -> None:
    clock = Clock()

    def held_up(name: str) -> Any:
        return _Slow(connect(name), clock)

    with seen_by(connect, ONE) as one, seen_by(held_up, OTHER, clock) as other:
        began(one)
        assert not _gone_after(other, clock, PATIENCE_S - 0.5)
        _Slow.takes_s = 2 * PATIENCE_S  # nor could the leader say that it is alive
        try:
            assert not other.may_take_over(other.look())
        finally:
            _Slow.takes_s = 0.0
        assert not _gone_after(other, clock, PATIENCE_S - 0.5)
        assert _gone_after(other, clock, 0.5)


def test_nobody_waits_for_a_leader_that_resigned_or_for_ones_own_last_process(connect: Any) -> None:
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER, Clock()) as other:
        epoch = began(one)
        assert one.may_take_over(one.look())
        assert not other.may_take_over(other.look())
        one.resign(epoch)
        assert other.may_take_over(other.look())


def test_another_origin_or_signing_key_is_refused(connect: Any) -> None:
    with seen_by(connect, ONE):
        for origin, vkey, key in (
            ("example.com/log", "vkey", "cli.run.other_origin"),
            ("example.org/log", "another", "cli.run.other_log_key"),
        ):
            with pytest.raises(Refused) as caught:
                Leadership(connect, "north", OTHER).enrol(origin, vkey, KEY)
            assert caught.value.key == key
        Leadership(connect, "south", OTHER).enrol("example.org/log/2", "another", KEY)


def test_a_lease_holds_while_beats_are_taken_and_ends_by_its_own_clock_or_with_the_epoch(connect: Any) -> None:
    clock, lost = Clock(), threading.Event()
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        lease = Lease(connect, replace(began(one), lost=lost.set), clock)
        assert lease.holds()
        clock.now += LEASE_S
        assert not lease.holds()
        lease.start()
        _until(lease.holds)
        assert not lease.is_lost
        began(other)
        assert lost.wait(60)
        clock.now += LEASE_S
        assert not lease.holds()
        _until(lambda: lease.is_lost)
        lease.stop()


def test_a_lease_outlives_lost_connections_if_it_still_leads(connect: Any) -> None:
    with seen_by(connect, ONE) as one:
        lost: list[str] = []
        epoch, clock = replace(began(one), lost=lambda: lost.append("lost")), Clock()
        lease = Lease(connect, epoch, clock)
        lease.start()
        before = one.look().beat
        _until(lambda: one.look().beat > before)
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
        connect("admin").execute(ended, (epoch.application_name,))
        clock.now += LEASE_S
        _until(lease.holds)
        lease.stop()
        assert lost == []


@pytest.fixture
def given_twice(connect: Any) -> Iterator[tuple[Leadership, Epoch, Leadership, Epoch]]:
    """Provide two leaders that hold the same number: a copy of the database had lost the first one's beginning."""
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:
        before = connect("copy")
        before.execute("CREATE TABLE copied AS SELECT * FROM answerable_shared.shards")
        first = began(one)
        before.execute("DELETE FROM answerable_shared.shards; DELETE FROM answerable_shared.leaders")
        before.execute("INSERT INTO answerable_shared.shards SELECT * FROM copied")
        second = began(other)
        assert first.number == second.number
        yield one, first, other, second


def test_of_two_leaders_of_one_number_the_one_that_the_database_knows_writes(connect: Any, given_twice: Any) -> None:
    _, first, other, second = given_twice
    connect("second").execute(second.check_sql)
    with pytest.raises(psycopg.Error) as caught:
        connect("first").execute(first.check_sql)
    assert is_superseded(caught.value)
    assert other.look().is_of(second)
    assert not other.look().is_of(first)


def test_of_two_leaders_of_one_number_one_keeps_its_lease_and_the_other_loses(connect: Any, given_twice: Any) -> None:
    one, first, _, second = given_twice
    lost, kept = threading.Event(), threading.Event()
    losing, keeping = Lease(connect, replace(first, lost=lost.set)), Lease(connect, replace(second, lost=kept.set))
    losing.start()
    assert lost.wait(60)
    losing.stop()
    one.resign(first)
    assert not one.look().resigned
    keeping.start()
    before = one.look().beat
    _until(lambda: one.look().beat > before)
    keeping.stop()
    assert not kept.is_set()


def test_a_leader_whose_session_was_ended_falls_silent_and_asks_at_once_who_leads(connect: Any) -> None:
    """A paused virtual machine wakes: its clock stood still, so its lease has not run out."""
    clock, over = Clock(), threading.Event()
    waited: list[float] = []
    held: list[bool] = []
    with seen_by(connect, ONE) as one, seen_by(connect, OTHER) as other:

        def paused(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 1:
                began(other)

        def lost() -> None:
            held.append(lease.holds())
            over.set()

        lease = Lease(connect, replace(began(one), lost=lost), clock)
        lease._over.wait = paused  # type: ignore[method-assign, assignment]
        lease.start()
        assert over.wait(60)
        lease.stop()
        assert held == [False]
        assert len(waited) == 1


def test_a_lease_does_not_hold_while_the_server_is_away_and_it_is_asked_once_a_beat(connect: Any) -> None:
    away, over = threading.Event(), threading.Event()
    waited: list[bool] = []
    sessions: list[Any] = []

    def connects(name: str) -> Any:
        if away.is_set():
            raise psycopg.OperationalError("away")
        sessions.append(connect(name))
        return sessions[-1]

    with seen_by(connect, ONE) as one:
        lease = Lease(connects, began(one), Clock())

        def waits(_: float) -> None:
            waited.append(lease.holds())
            if len(waited) == 1:
                away.set()
                sessions[0].close()
            elif len(waited) == 3:
                away.clear()
            elif len(waited) == 4:
                lease._over.set()
                over.set()

        lease._over.wait = waits  # type: ignore[method-assign, assignment]
        lease.start()
        assert over.wait(60)
        lease.stop()
        assert waited == [True, False, False, True]


class _Slow:
    """A connection whose statements take `takes_s` by the clock that is set by hand."""

    takes_s = 0.0

    def __init__(self, connection: "psycopg.Connection[Any]", clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def execute(self, *arguments: Any) -> Any:
        self._clock.now += self.takes_s
        return self._connection.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _gone_after(leadership: Leadership, clock: Clock, seconds: float) -> bool:
    """Look twice a second for so long; tell whether the leader counts as gone at the end."""
    for _ in range(int(seconds * 2)):
        leadership.may_take_over(leadership.look())
        clock.now += 0.5
    return leadership.may_take_over(leadership.look())


def _until(look: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not look():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_sessions_of_another_account_are_told_from_other_faults(connect: Any, postgres_url: str) -> None:
    with seen_by(connect, ONE) as one:
        epoch = began(one)
        connect(epoch.application_name)  # of the account that makes the tables
    admin, role = connect("admin"), f"fence_{secrets.token_hex(4)}"
    admin.execute(f"CREATE ROLE {role}")
    for what in ("SCHEMA answerable_shared", "ALL TABLES IN SCHEMA answerable_shared"):
        admin.execute(f"GRANT ALL ON {what} TO {role}")
    try:
        other = connect("other")
        other.execute(f"SET ROLE {role}")
        leadership = Leadership(lambda _: other, "north", OTHER)
        with pytest.raises(DatabaseRefused, match="accounts"):
            leadership.take_over(leadership.look())
        other.close()
    finally:
        admin.execute(f"DROP OWNED BY {role}")
        admin.execute(f"DROP ROLE {role}")
