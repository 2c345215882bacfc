"""Brings the files of a log and its table to one state, when the log is opened.

Rules kept here:
- Nothing is written before it is certain that one of the two continues the other.
- Lines that the table has and the files have not are added to the files, and the other way round: a copy of PostgreSQL
  that took over may have lost its last moments.
- Lines that somebody put into the files after the bot had stopped are set aside, as without a table.
Left to others: following the table from then on (`follower.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from moderation.values.errors import Broken, Invalid, Refused

from . import disk
from .days import DayLines
from .follower import Follower
from .line_log import Forked, Incomplete, LineLog, PlacedLine, Unproved
from .reader import Log
from .recover import RecoveredLog, recover, set_aside
from .transparency.checkpoint import Checkpoint, open_checkpoint
from .transparency.daily_checkpoints import Closings
from .transparency.log_key import read_verifier
from .transparency.signed_note import NoteVerifier
from .tree_at import leaf_of, own_lines, tree_at

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class LevelLog:
    """A log whose files and table agree, or one that has files alone."""

    state: RecoveredLog
    foreign: int = 0  # lines that were set aside
    lost: int = 0  # lines that the table had lost, and has again


def alone(folder: Path, verifier: NoteVerifier) -> LevelLog:
    """Return the log as the files have it, without a table."""
    state = recover(folder, verifier)
    foreign = set_aside(folder, state)
    return LevelLog(recover(folder, verifier) if foreign else state, foreign)


def level(folder: Path, verifier: NoteVerifier, table: LineLog) -> LevelLog:
    """Bring files and table to one state. Raises `Forked`, `Incomplete` and other `Broken`, then nothing is changed."""
    state = recover(folder, verifier)
    end = table.end()
    foreign = set_aside(folder, state) if end <= state.signed else 0
    if foreign:
        state = recover(folder, verifier)
    torn = state.recovery if state.recovery and state.recovery.index >= end else None
    check(folder, verifier, table, state)
    follow(Follower(folder, verifier, table, state))
    state = replace(recover(folder, verifier), recovery=torn)
    return LevelLog(state, foreign, push(folder, table, state))


def open_follower(data_dir: Path, table: LineLog) -> Follower:
    """Open the files for a standby, and hold them until it is closed.

    Raises `Forked`, `Incomplete` and other `Broken`, and `BlockingIOError` if another process holds the log.
    """
    folder = data_dir / "records"
    for name in ("day", "tile", "checkpoints"):
        disk.make_folder(folder / name)
    claim = disk.FolderClaim(folder)
    try:
        verifier = read_verifier(folder)
        state = recover(folder, verifier)
        check(folder, verifier, table, state)
        follower = Follower(folder, verifier, table, state, claim)
        follower.finish_declared()
    except BaseException:
        claim.release()
        raise
    return follower


@contextmanager
def files_differ(data_dir: Path) -> Iterator[None]:
    """Turn what is wrong with the files, compared with the table, into `Refused` that says what to do."""
    folder = data_dir / "records"
    try:
        yield
    except Forked as error:
        raise Refused("cli.run.forked", folder=folder, first=str(error.index)) from error
    except Incomplete as error:
        raise Refused("cli.run.incomplete", folder=folder, first=str(error.first)) from error
    except Unproved as error:
        raise Refused("cli.run.foreign_line", first=str(error.index)) from error


def follow(follower: Follower) -> None:
    """Take all that the table has by now."""
    try:
        while follower.step():
            pass
    finally:
        follower.close()


def check(folder: Path, verifier: NoteVerifier, table: LineLog, state: RecoveredLog) -> None:
    """Check that files and table are one log, as far as both go: by a checkpoint, and from there line by line."""
    newest, end = table.newest(), table.end()
    begins = table.read(0, 1)
    if begins and begins[0].index > state.tree.size:
        raise Incomplete(state.tree.size, begins[0].index)
    both = min(state.signed, newest.size if newest else 0)
    if newest and both == newest.size:
        if tree_at(folder, state.signed, both).root() != _opened(newest.note, verifier).root:
            raise Forked(_first_difference(folder, table, begins[0].index if begins else 0))
    elif newest and both:
        _check_continued(folder, verifier, table, state)
    for theirs, ours in zip(_lines(table, both, min(end, state.tree.size)), own_lines(folder, both), strict=False):
        if leaf_of(theirs.line) != leaf_of(ours):
            raise Forked(theirs.index)


def _check_continued(folder: Path, verifier: NoteVerifier, table: LineLog, state: RecoveredLog) -> None:
    """Check that the table's next checkpoint continues the files' newest one."""
    after = min(table.checkpoints(0, state.signed), key=lambda each: (each.size <= state.signed, each.size))
    tree = tree_at(folder, state.signed, state.signed)
    for line in _lines(table, state.signed, after.size):
        tree.add(leaf_of(line.line))
    if (tree.size, tree.root()) != (after.size, _opened(after.note, verifier).root):
        raise Forked(_first_difference(folder, table, 0))


def push(folder: Path, table: LineLog, state: RecoveredLog) -> int:
    """Add to the table what only the files have. Returns the number of lines that the table had lost."""
    end, size = table.end(), state.tree.size
    log, newest = Log(folder), table.newest()
    for day, start in log.starting_with(end) if end < size else ():
        batch: list[tuple[str, bytes]] = []
        at = max(start, end)
        for line in DayLines(day.path).each(at - start):
            batch.append((day.name, line))
            if len(batch) == _AT_ONCE:
                table.append(at, batch)
                at, batch = at + len(batch), []
        if batch:
            table.append(at, batch)
    signed = newest.size if newest else 0
    closings = Closings(folder)
    for closing in [closings.read(day) for day in closings.days()]:
        if closing.size > signed:
            table.put_checkpoint(closing.day, closing.size, closing.note, closings.timestamp(closing.day))
    if state.signed > signed:
        table.put_checkpoint("", state.signed, (folder / "checkpoint").read_text("utf-8"))
    return size - end if end else 0


def _lines(table: LineLog, start: int, stop: int) -> Iterator[PlacedLine]:
    while start < stop and (lines := table.read(start, min(_AT_ONCE, stop - start))):
        if lines[0].index != start:
            raise Incomplete(start, lines[0].index)
        yield from lines
        start += len(lines)


def _first_difference(folder: Path, table: LineLog, start: int) -> int:
    """Return the first record in which files and table differ."""
    for theirs, ours in zip(_lines(table, start, table.end()), own_lines(folder, start), strict=False):
        if leaf_of(theirs.line) != leaf_of(ours):
            return theirs.index
    return start


def _opened(note: str, verifier: NoteVerifier) -> Checkpoint:
    try:
        return open_checkpoint(note, [verifier])
    except Invalid as error:
        raise Broken(f"the newest checkpoint in the database: {error}") from error
