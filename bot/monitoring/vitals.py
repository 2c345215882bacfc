"""The figures that show the bot's state.

Rules kept here:
- A look costs a few counts and is shared by all who ask within a second, so that nobody can slow the bot by asking.
- Times are in seconds, for machines.

Left to others: what is well (`health.py`), the names of metrics (`metrics.py`).
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.runtime.clock import Clock
from storage import queries
from storage.database.database import Database
from storage.database.following import Follows
from storage.journal.journal import Journal

from .pulse import Pulse
from .trusted_time import Doubts

_SHARED_S = 1.0


@dataclass(frozen=True, slots=True)
class Standbys:
    """The machines that follow the log: how many are there, what the last of them lacks, what one could not do."""

    there: int = 0
    behind: int = 0
    unfinished: bool = False

    @classmethod
    def of(cls, found: Sequence[Follows]) -> "Standbys":
        """Return the figures; `there` and `behind` are of those that said lately that they follow."""
        there = [each for each in found if each.is_there]
        behind = max((each.behind for each in there), default=0)
        return cls(len(there), behind, any(each.unfinished for each in found))


def nobody_follows() -> Sequence[Follows]:
    """Return nobody: without PostgreSQL there are no standbys."""
    return ()


@dataclass(frozen=True, slots=True)
class Vitals:
    """The figures of one look. A time of -1: not yet."""

    up_s: float
    sync_age_s: float  # since the homeserver last answered
    lag_s: float
    outbox_waiting: int
    outbox_oldest_s: float
    gaps_open: int
    undecryptable: int
    cases_open: int
    cases_overdue: int
    records: int
    unsigned: int
    checkpoint_age_s: float
    disk_free: int
    keys_lost: bool
    clock_doubt: str  # why nothing is removed at present (`trusted_time.py`); "": no doubt
    tables_differ: bool  # a row of the database differs from the records
    standbys: Standbys = Standbys()
    shards_unheard: int = 0  # other shards that run and tell nothing, or of which nothing more can be taken
    shards_held_back: int = 0  # other shards that publish so much that the rest is read later


class Looker:
    """The reader of these figures, at most once a second."""

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        data_dir: Path,
        clock: Clock,
        steady: Clock,
        pulse: Pulse,
        heard_ms: Callable[[], int],
        undecryptable: Callable[[], Awaitable[int]],
        keys_lost: Callable[[], bool],
        doubts: Doubts,
        tables_differ: Callable[[], bool],
        standbys: Callable[[], Sequence[Follows]] = nobody_follows,
        shards: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._database = database
        self._journal = journal
        self._data_dir = data_dir
        self._clock = clock
        self._steady = steady
        self._pulse = pulse
        self._heard_ms = heard_ms
        self._undecryptable = undecryptable
        self._keys_lost = keys_lost
        self._doubts = doubts
        self._tables_differ = tables_differ
        self._standbys = standbys
        self._shards = shards  # how many are unheard, and how many are held back
        self._began_ms = steady()
        self._last: tuple[float, Vitals] | None = None
        self._turn = asyncio.Lock()

    async def look(self) -> Vitals:
        """Return the state of the bot."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if self._last is None or now - self._last[0] >= _SHARED_S:
                self._last = (now, await self._look())
            return self._last[1]

    async def _look(self) -> Vitals:
        now, steady = self._clock(), self._steady()
        numbers = await self._database.fetch(queries.vital_numbers, now, steady)
        disk = await asyncio.to_thread(shutil.disk_usage, self._data_dir)
        heard, (unheard, held_back) = self._heard_ms(), self._shards()
        return Vitals(
            up_s=_since(self._began_ms, steady),
            sync_age_s=_since(heard, now) if heard else -1,
            lag_s=self._pulse.lag_s,
            outbox_waiting=numbers.waiting,
            outbox_oldest_s=0.0 if numbers.queued is None else _since(numbers.queued, steady),
            gaps_open=numbers.gaps,
            undecryptable=await self._undecryptable(),
            cases_open=numbers.cases_open,
            cases_overdue=numbers.cases_overdue,
            records=self._journal.size,
            unsigned=self._journal.size - self._journal.signed,
            checkpoint_age_s=_since(self._journal.signed_ms, now),
            disk_free=disk.free,
            keys_lost=self._keys_lost(),
            clock_doubt=self._doubts() or "",
            tables_differ=self._tables_differ(),
            standbys=Standbys.of(await asyncio.to_thread(self._standbys)),
            shards_unheard=unheard,
            shards_held_back=held_back,
        )


def _since(then_ms: int, now_ms: int) -> float:
    """Return the seconds between two times; never below 0, even if the clock was changed."""
    return max(0, now_ms - then_ms) / 1000
