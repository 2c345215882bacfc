"""The processes that follow a log: each says how far it is, and what it could not do.

Rules kept here:
- Commits do not wait for the disk: losing the last report does no harm. Without news, a process reports less often.
- How long one has been silent is told by the server's clock alone.
- A process that died stays in the list, so that people see it, until it has been silent for a month, or leads.

Left to others: leading (`leadership.py`), the files that follow (`storage/journal/follower.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

SILENT_S: Final = 60.0  # a process that said nothing for so long counts as gone
_AGAIN_S: Final = 10.0  # it says that it is there
_APART_S: Final = 1.0  # at least, between two changes

_NOT_DURABLE: Final = "SET LOCAL synchronous_commit = off"
_FOLLOW: Final = """
INSERT INTO answerable_shared.standbys (shard, instance, who, records, beat, unfinished, at)
VALUES (%s, %s, %s, %s, 0, %s, now())
ON CONFLICT (shard, instance) DO UPDATE SET who = excluded.who, records = excluded.records,
    beat = standbys.beat + 1, unfinished = excluded.unfinished, at = excluded.at
"""
_NO_MORE: Final = "DELETE FROM answerable_shared.standbys WHERE shard = %s AND instance = %s"
_FORGET: Final = "DELETE FROM answerable_shared.standbys WHERE shard = %s AND at < now() - interval '30 days'"
_ALL: Final = """
SELECT who, greatest(size - records, 0), extract(epoch FROM now() - at)::float8, unfinished
FROM answerable_shared.standbys,
    (SELECT coalesce(max(idx) + 1, 0) AS size FROM answerable_shared.log WHERE shard = %(shard)s) AS written
WHERE shard = %(shard)s ORDER BY who, instance
"""


@dataclass(frozen=True, slots=True)
class Follows:
    """A process that follows.

    `who`: its machine; `behind`: the number of records that it did not have when it spoke last; `silent_s`: since then;
    `unfinished`: why an erasure or a purge could not be carried out there, or "".
    """

    who: str
    behind: int
    silent_s: float
    unfinished: str

    @property
    def is_there(self) -> bool:
        """True if it reported lately."""
        return self.silent_s < SILENT_S


class Following:
    """Reports of this process, named `who` and `instance`, while it follows. `clock` gives seconds."""

    def __init__(self, shard: str, who: str, instance: str, clock: Callable[[], float]) -> None:
        self._shard = shard
        self._who = who
        self._instance = instance
        self._clock = clock
        self._said: tuple[int, str] | None = None
        self._said_s = 0.0

    def say(self, db: "psycopg.Connection[Any]", records: int, unfinished: str) -> None:
        """Say how many records this process has, and what it could not do, unless it said so just before."""
        now, told = self._clock(), (records, unfinished)
        if self._said is not None and now - self._said_s < (_AGAIN_S if told == self._said else _APART_S):
            return
        with db.transaction():
            db.execute(_NOT_DURABLE)
            db.execute(_FOLLOW, (self._shard, self._instance, self._who, records, unfinished))
        self._said, self._said_s = told, now

    def say_no_more(self, db: "psycopg.Connection[Any]") -> None:
        """Say that this process has ceased to follow."""
        db.execute(_NO_MORE, (self._shard, self._instance))
        self._said = None


def following(db: "psycopg.Connection[Any]", shard: str) -> tuple[Follows, ...]:
    """Return the processes that follow, including any that ended without saying so."""
    return tuple(Follows(*row) for row in db.execute(_ALL, {"shard": shard}).fetchall())


def forget_silent(db: "psycopg.Connection[Any]", shard: str) -> None:
    """Forget processes that have been silent for a month."""
    db.execute(_FORGET, (shard,))
