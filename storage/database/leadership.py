"""Leadership: looking at the leader, taking its place, saying that one is alive.

A leader adds one to its `beat` every second. Another process that has looked at it for `PATIENCE_S` of its own clock,
again and again, and has always seen the same beat, ends the old leader's sessions and begins a new epoch. The leader
itself sends nothing to a homeserver once its last beat is older than `LEASE_S`: so it has fallen silent before another
can have begun to speak.

Rules kept here:
- An epoch is begun by comparing and setting: of several that try, one succeeds.
- The clock is one that goes on while a process, or its machine, is suspended.
- Time in which nobody looked does not count as the leader's silence: the process that looks may have been busy, or
  suspended itself.
- A log has one origin and one signing key: another one is refused before an epoch begins.
Left to others: what a leader may write (`fence.py`), who follows (`following.py`).
"""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from moderation.values.errors import Refused

from . import shared_tables
from .fence import Epoch, sessions_of
from .following import Following, Follows, following, forget_silent
from .refusals import refused

Connect = Callable[[str], "psycopg.Connection[Any]"]  # by the name of the session; in autocommit

BEAT_S: Final = 1.0
LEASE_S: Final = 3.0
PATIENCE_S: Final = 5.0
_APART_S: Final = 2.0  # at most, between two looks that count as one watch
_TRIES: Final = 20
_DAY_S: Final = 86_400.0

_ENROL: Final = """
INSERT INTO answerable_shared.shards (name, origin, vkey, epoch, holder) VALUES (%s, %s, %s, 0, '')
ON CONFLICT DO NOTHING
"""
_WHOSE: Final = "SELECT origin, vkey FROM answerable_shared.shards WHERE name = %s"
_LOCK_WAIT: Final = "SET LOCAL lock_timeout = '1s'"
_BEGIN_EPOCH: Final = """
UPDATE answerable_shared.shards SET epoch = epoch + 1, holder = %s WHERE name = %s AND epoch = %s AND holder = %s
RETURNING epoch
"""
_LEAD: Final = """
INSERT INTO answerable_shared.leaders (shard, epoch, holder, beat, who, instance, resigned)
VALUES (%s, %s, %s, 0, %s, %s, false)
ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder, beat = 0, who = excluded.who,
    instance = excluded.instance, resigned = false
"""
_BEAT: Final = """
UPDATE answerable_shared.leaders SET beat = beat + 1 WHERE shard = %s AND epoch = %s AND holder = %s AND NOT resigned
"""
_RESIGN: Final = "UPDATE answerable_shared.leaders SET resigned = true WHERE shard = %s AND epoch = %s AND holder = %s"
_LEADER: Final = """
SELECT s.epoch, s.holder, coalesce(l.beat, 0), coalesce(l.who, ''), coalesce(l.instance, ''), coalesce(l.resigned, true)
FROM answerable_shared.shards s
LEFT JOIN answerable_shared.leaders l ON l.shard = s.name AND l.epoch = s.epoch AND l.holder = s.holder
WHERE s.name = %s
"""
_END_SESSIONS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
"""


def now_s() -> float:
    """Return the time by a clock that never goes back and goes on while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Me:
    """This process: the name of its machine, and a name that only its data directory has."""

    who: str
    instance: str


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader as the table shows it. `epoch` 0: there has never been one."""

    epoch: int
    holder: str
    beat: int
    who: str
    instance: str
    resigned: bool

    def is_of(self, epoch: Epoch) -> bool:
        """Tell whether this is the leader of that epoch."""
        return (self.epoch, self.holder) == (epoch.number, epoch.holder)


@dataclass(frozen=True, slots=True)
class _Watch:
    """An unchanged beat: the times of the first and the last look at it, and of the answer to the last one."""

    epoch: int
    holder: str
    beat: int
    first_s: float
    last_s: float
    answered_s: float

    def is_of(self, leader: Leader) -> bool:
        return (self.epoch, self.holder, self.beat) == (leader.epoch, leader.holder, leader.beat)


class Leadership:
    """The leadership of one log, seen from one process. Calls are synchronous and made by one thread at a time."""

    def __init__(self, connect: Connect, shard: str, me: Me, clock: Callable[[], float] = now_s) -> None:
        self._connect = connect
        self._shard = shard
        self._me = me
        self._clock = clock
        self._following = Following(shard, me.who, me.instance, clock)
        self._db: psycopg.Connection[Any] | None = None
        self._watch: _Watch | None = None

    def vkey(self) -> str | None:
        """Return the verifier key of the log in the database; None if there is none yet."""
        db = self._session()
        if db.execute("SELECT to_regclass('answerable_shared.shards')::text").fetchone() == (None,):
            return None
        row = db.execute(_WHOSE, (self._shard,)).fetchone()
        return str(row[1]) if row else None

    def enrol(self, origin: str, vkey: str, key_file: Path) -> None:
        """Make the tables, and note whose log this is: its name, and the public half of the key in `key_file`.

        Raises `Refused` if it has another name or another key.
        """
        db = self._session()
        with db.transaction():
            shared_tables.make(db)
            db.execute(_ENROL, (self._shard, origin, vkey))
            row = db.execute(_WHOSE, (self._shard,)).fetchone()
        assert row is not None
        if row[0] != origin:
            raise Refused("cli.run.other_origin", origin=row[0], ours=origin)
        if row[1] != vkey:
            raise Refused("cli.run.other_log_key", file=key_file)

    def look(self) -> Leader:
        """Return the present leader, and remember for how long its beat was seen to stand still."""
        db = self._session()
        asked = self._clock()
        row = db.execute(_LEADER, (self._shard,)).fetchone()
        answered = self._clock()
        leader = Leader(*row) if row else Leader(0, "", 0, "", "", True)
        watch, first = self._watch, answered
        if watch is not None and watch.is_of(leader) and answered - watch.answered_s <= _APART_S:
            first = watch.first_s
        self._watch = _Watch(leader.epoch, leader.holder, leader.beat, first, asked, answered)
        return leader

    def may_take_over(self, leader: Leader) -> bool:
        """Tell whether the leader is gone: it has resigned, is this data directory, or its beat stands still."""
        if leader.resigned or leader.instance == self._me.instance:
            return True
        watch = self._watch
        return watch is not None and watch.is_of(leader) and watch.last_s - watch.first_s >= PATIENCE_S

    def take_over(self, leader: Leader) -> Epoch | None:
        """Begin the next epoch after that of `leader`. Returns None if another process was faster."""
        db = self._session()
        token = secrets.token_hex(8)
        for _ in range(_TRIES):
            try:
                db.execute(_END_SESSIONS, (sessions_of(self._shard, leader.epoch),))
            except psycopg.errors.InsufficientPrivilege as error:
                raise refused("accounts", db.info.dbname, said=str(error).partition("\n")[0]) from error
            with suppress(psycopg.errors.LockNotAvailable), db.transaction():
                db.execute(_LOCK_WAIT)
                row = db.execute(_BEGIN_EPOCH, (token, self._shard, leader.epoch, leader.holder)).fetchone()
                if row is None:
                    return None
                db.execute(_LEAD, (self._shard, row[0], token, self._me.who, self._me.instance))
                self._following.say_no_more(db)  # killed while it stood by, it could not say so
                forget_silent(db, self._shard)
                return Epoch(self._shard, int(row[0]), token)
        raise Refused("cli.run.old_leader_stays", who=leader.who)

    def follow(self, records: int, unfinished: str = "") -> None:
        """Say that this process follows, how many records it has, and what it could not do."""
        self._following.say(self._session(), records, unfinished)

    def follow_no_more(self) -> None:
        """Say that this process has ceased to follow."""
        self._following.say_no_more(self._session())

    def standbys(self) -> tuple[Follows, ...]:
        """Return who follows."""
        return following(self._session(), self._shard)

    def resign(self, epoch: Epoch) -> None:
        """Say that the leader has ended cleanly, so that the next one need not wait."""
        self._session().execute(_RESIGN, (self._shard, epoch.number, epoch.holder))

    def close(self) -> None:
        """Close the session."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _session(self) -> "psycopg.Connection[Any]":
        if self._db is None or self._db.closed or self._db.broken:
            self._db = self._connect(f"answerable/{self._shard}/standby")
            self._watch = None  # the leader could not say that it was alive either, while the server was away
        return self._db


class Lease:
    """Beats for the leader every second, in a thread of its own; `holds` tells whether the leader may act.

    It may not while the server does not answer: a machine whose clocks stood still finds that its session was ended.
    Once a day it forgets standbys that have been silent for a month, as the beginning of the epoch did.
    If another epoch is found to have begun, `Epoch.lost` is called in that thread.
    """

    def __init__(self, connect: Connect, epoch: Epoch, clock: Callable[[], float] = now_s) -> None:
        self._connect = connect
        self._epoch = epoch
        self._clock = clock
        self._until = clock() + LEASE_S
        self._forgot_s = clock()
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def holds(self) -> bool:
        """Tell whether no other process can have taken over yet."""
        return self._clock() < self._until

    @property
    def is_lost(self) -> bool:
        """True if another epoch has begun and `Epoch.lost`, which ends a process of the bot, has returned."""
        return self._lost

    def stop(self) -> None:
        """Stop beating."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        db: psycopg.Connection[Any] | None = None
        epoch, answered = self._epoch, False
        while not self._over.is_set():
            began = self._clock()
            try:
                db = db or self._connect(epoch.application_name)
                if not db.execute(_BEAT, (epoch.shard, epoch.number, epoch.holder)).rowcount:
                    self._until = began
                    epoch.lost()
                    self._lost = True
                    return
                self._until, answered = began + LEASE_S, True
                if began - self._forgot_s >= _DAY_S:
                    self._forgot_s = began
                    forget_silent(db, epoch.shard)
            except psycopg.Error:  # restarted, or out of reach, or ended by the next leader while this one was paused
                self._until = began
                if db is not None:
                    db.close()
                db = None
                if answered:
                    answered = False
                    continue  # ask at once who leads
            self._over.wait(BEAT_S)
        if db is not None:
            db.close()
