"""Purges whole days once the retention time of everything in them is over, and the log says so.

The order: a `purge` record with `below`, the first index that stays, is written and signed; then `min_index` is
written; then the days below it are removed, oldest first; then the full tiles of level 0 that end at or below it (C2SP
tlog-tiles, "Pruning"). The tiles of higher levels stay, and so do the days' closing checkpoints: every kept record can
still be proved, and a checkpoint's name tells which day a purge reached.

Rules kept here:
- Nothing younger than `FLOOR_DAYS` at the time of the purge record is removed, whatever was asked.
- A purge removes the beginning of the log, and ends before the first day in which anything must stay: the rest of such
  a day is erased part by part (`Retention.is_due` with `find.overdue_parts`).
- A crash in the middle is harmless; the next opening of the log finishes the purge.
Left to others: when to purge, recording it (`bot/`), checking it (`storage/journal/verify/purge.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from moderation.values.errors import Broken, Invalid
from storage.journal import disk
from storage.journal.days import Day
from storage.journal.line_format import DecodedLine
from storage.journal.merkle import TILE_WIDTH
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.journal.transparency.tiles import Tiles

from .erasure_index import Special, opened_lines
from .legal_holds import HoldsInForce, holds_in_force

FLOOR_DAYS = 183
DEFAULT_DAYS = 190
DAY_MS = 86_400_000
FLOOR_MS = FLOOR_DAYS * DAY_MS
MIN_INDEX = "min_index"


class NotAllowed(Broken):
    """Raised if a `purge` record does not allow what it names, on whichever machine."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The number of days records are kept; kinds in `longer` stay longer, such as decisions until their appeal is over.

    Raises `Invalid` below the floor.
    """

    days: int = DEFAULT_DAYS
    longer: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for days in (self.days, *self.longer.values()):
            if days < FLOOR_DAYS:
                raise Invalid(
                    f"records cannot be kept for {days} days only: appeals are open for six months, so that "
                    f"nothing goes before {FLOOR_DAYS} days"
                )

    def of(self, kind: str) -> int:
        """Return the number of days that records of this kind are kept."""
        return max(self.days, self.longer.get(kind, 0))

    def is_due(self, now_ms: int) -> Callable[[Day, str], bool]:
        """Return for `find.overdue_parts` a test whether the time of a kind ("": the shortest) in a day is over now."""
        return lambda day, kind: day.end_ms + self.of(kind) * DAY_MS <= now_ms


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a purge ends where it does: the time of `day` or `kind` is not over, or a hold covers something."""

    why: Literal["time", "kind", "hold"]
    day: str
    kind: str = ""
    hold: int = -1  # index of the record that placed it
    index: int = -1  # index of the first record that must stay


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """The extent of a purge: all records before `below`. `stop` is None if only time limits it."""

    below: int
    days: tuple[str, ...] = ()
    records: int = 0
    bytes: int = 0
    stop: Stop | None = None


def plan_purge(folder: Path, now_ms: int, retention: Retention, holds: HoldsInForce) -> PurgePlan:
    """Plan what could be purged now; change nothing. Raises `Broken` at a damaged line."""
    log = Log(folder)
    starts = log.starts()
    taken: list[Day] = []
    stop: Stop | None = None
    for day, _ in starts[:-1]:  # the last day stays: the purge record needs a place
        stop = _stop(day, now_ms, retention, holds)
        if stop:
            break
        taken.append(day)
    below = starts[len(taken)][1] if starts else 0
    return PurgePlan(
        below,
        tuple(day.name for day in taken),
        below - starts[0][1] if starts else 0,
        sum(day.path.stat().st_size for day in taken),
        stop if stop and stop.why != "time" else None,
    )


def check_purge(log: Log, record: Record, below: int) -> None:
    """Check that a `purge` record allows the removal of all before `below`.

    Raises `NotAllowed`, saying why not, or `Broken` at a damaged line.
    """
    if record.kind != "purge" or record.fields.get("below") != below or not 0 <= below <= record.index:
        raise NotAllowed(f"record {record.index} does not declare that all before {below} is purged")
    starts = log.starts()
    firsts = [first for _, first in starts]
    if below not in firsts:
        raise NotAllowed(f"record {below} is not the first of a day; only whole days are purged")
    reached = starts[: firsts.index(below)]
    if reached and reached[-1][0].end_ms + FLOOR_MS > record.at_ms:
        raise NotAllowed(
            f"the day {reached[-1][0].name} is younger than {FLOOR_DAYS} days; nothing younger is ever purged, since "
            "appeals are open for six months"
        )
    _check_holds([day for day, _ in reached], holds_in_force(log.folder, record.at_ms))


def purge(folder: Path, below: int) -> list[str]:
    """Remove everything before `below`, after this was declared and signed. Returns the removed days."""
    least = read_min_index(folder) or 0
    if below > least:
        disk.replace_atomically(folder / MIN_INDEX, f"{below}\n".encode())
    gone = _days_below(folder, below)
    for day in gone:
        disk.remove(day.path)
    disk.remove_all(_tiles_below(folder, below))
    return [day.name for day in gone]


def purge_again(folder: Path, special: Special) -> list[str]:
    """Finish an interrupted purge, if `min_index` is there and a record declares it. Returns the removed days."""
    below = read_min_index(folder)
    if not below or not (_days_below(folder, below) or _tiles_below(folder, below)):
        return []
    log = Log(folder)
    declared = [log.get(index).fields.get("below") for index in special.indices["purge"] if index >= below]
    return purge(folder, below) if below in declared else []


def read_min_index(folder: Path) -> int | None:
    """Return the value of `min_index`: 0 without the file, None if it is not a number."""
    try:
        with (folder / MIN_INDEX).open("rb") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() and len(text) < 17 else None


def _check_holds(days: Sequence[Day], holds: HoldsInForce) -> None:
    if not holds.holds:
        return
    for day in days:
        for opened in opened_lines(day, []):
            if hold := holds.covering_record(opened):
                raise NotAllowed(
                    f"record {opened.skeleton['i']} is covered by the hold {hold.index}; nothing was purged"
                )


def _days_below(folder: Path, below: int) -> list[Day]:
    """Return the closed days before the one that begins with `below`; an empty list if no day does."""
    starts = Log(folder).starts()
    is_there = any(first == below for _, first in starts)
    return [day for day, first in starts if first < below and day.closed] if is_there else []


def _tiles_below(folder: Path, below: int) -> list[Path]:
    tiles = Tiles(folder / "tile")
    names = [name for name in tiles.names_of_level(0) if name.end <= below // TILE_WIDTH * TILE_WIDTH]
    return [tiles.folder / name.path for name in sorted(names)]


def _stop(day: Day, now_ms: int, retention: Retention, holds: HoldsInForce) -> Stop | None:
    """Return why a day must stay, or None if it may be purged."""
    if not day.closed or not retention.is_due(now_ms)(day, ""):
        return Stop("time", day.name)
    if not retention.longer and not holds.holds:
        return None  # no need to read the day
    is_due = retention.is_due(now_ms)
    for opened in opened_lines(day, []):
        if stop := _stop_at(opened, day, is_due, holds):
            return stop
    return None


def _stop_at(opened: DecodedLine, day: Day, is_due: Callable[[Day, str], bool], holds: HoldsInForce) -> Stop | None:
    kind, index = cast(str, opened.skeleton["k"]), cast(int, opened.skeleton["i"])
    if hold := holds.covering_record(opened):
        return Stop("hold", day.name, hold=hold.index, index=index)
    if not is_due(day, kind):
        return Stop("kind", day.name, kind=kind, index=index)
    return None
