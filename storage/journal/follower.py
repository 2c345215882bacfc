"""A copy of the log in files that follows the table: the same day files, tiles and checkpoints, byte for byte.

A standby follows without end. A leader does it once, when it opens its log: the process before it may have been on
another machine, or may have died between the table and the file.

Rules kept here:
- Nothing is signed here; every checkpoint comes from the table, and is written only if the copy has the same root.
- What the table says is a file's name only if it is a day.
- The order on the disk is that of the journal: lines, flushed; tiles; checkpoint.
- A day is closed when the table has its closing checkpoint over exactly its lines.
- Erasures and purges that a signed record declares are carried out in the files. A damaged day keeps neither other days
  from that nor the follower from going on: `unfinished` names it, and each new checkpoint is a new attempt. What a
  record does not allow is left: the leader refused it, too.
Left to others: whether files and table belong together (`level.py`), leading (`journal.py`).
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from moderation.values.errors import Broken, Invalid

from . import disk
from .days import Day, close_day, is_day
from .line_format import BadLine, DecodedLine, open_line
from .line_log import Forked, LineLog, PlacedLine, SharedCheckpoint
from .reader import Log
from .recover import RecoveredLog
from .retention.erase import erase_again, erase_where_possible, well_formed
from .retention.erasure_index import Special
from .retention.purge import NotAllowed, check_purge, purge, purge_again
from .transparency.checkpoint import open_checkpoint
from .transparency.daily_checkpoints import CHECKPOINT, TIMESTAMP, own_note
from .transparency.signed_note import NoteVerifier
from .transparency.tiles import Tiles
from .tree_at import tree_at

_DECLARED = ("erase", "purge")


class Follower:
    """The files of one log, as the table goes on. All calls are synchronous and made by one thread at a time."""

    def __init__(
        self,
        folder: Path,
        verifier: NoteVerifier,
        table: LineLog,
        state: RecoveredLog,
        claim: disk.FolderClaim | None = None,
    ) -> None:
        """Take the state of the files, and the claim on them if it is to be released at the end."""
        self._claim = claim
        self.folder = folder
        self.signed = state.signed
        self._verifier = verifier
        self._table = table
        self._tree = state.tree
        self._tiles = Tiles(folder / "tile")
        self._day = state.days[-1].name if state.days else ""
        self._appender = disk.Appender(state.open_day.path) if state.open_day else None
        self._number = 0  # of the newest checkpoint that was taken from the table
        self.unfinished = ""  # why a declared erasure or purge could not be carried out here: a damaged day
        self._declared: list[DecodedLine] = []  # erasures and purges that are not carried out yet
        self._tried = 0  # how many records were signed at the last attempt to carry them out

    @property
    def size(self) -> int:
        """The number of records in the files."""
        return self._tree.size

    def step(self) -> bool:
        """Take what the table has now, at most some lines. Returns False once there is nothing new.

        Raises `Broken` if it does not fit the files, `OSError` if the disk fails.
        """
        lines = self._table.read(max(self.size - 1, 0))
        if lines and lines[0].index == self.size - 1:
            self._follow_moved_day(lines.pop(0))
        notes = self._table.checkpoints(self._number, self.signed)  # after the lines: see `_take`
        taken = self._take(lines, notes)
        self._carry_out()
        return taken

    def finish_declared(self) -> None:
        """Carry out the erasures and purges among the records that the files had already."""
        if not self.size:
            return
        special = Special.find(self.folder, self.size)
        log, unread = Log(self.folder), []
        for index in special.indices["purge"]:
            try:
                self._declared.append(log.line(index))
            except LookupError:
                pass  # it was purged itself
            except Broken as error:
                unread.append(str(error))
        self._carry_out()
        try:
            if purge_again(self.folder, special):
                special.forget_purged(self.folder)
            erase_again(self.folder, special)
            special.keep(self.folder)
        except Broken as error:
            unread.append(str(error))
            log = Log(self.folder)
            with suppress(LookupError):
                self._declared = [*map(log.line, special.indices["erase"]), *self._declared]
        self.unfinished = "; ".join(filter(None, [self.unfinished, *unread]))
        self._reopen()

    def close(self) -> None:
        """Close the open day's file and release the log; what was taken is durable."""
        if self._appender:
            self._appender.close()
            self._appender = None
        if self._claim:
            self._claim.release()

    def _take(self, lines: Sequence[PlacedLine], notes: Sequence[SharedCheckpoint]) -> bool:
        """Add lines up to each checkpoint, then the checkpoint.

        As the checkpoints were read after the lines, each that lies between two of the lines is among them. They are
        taken in order of size, a day's closing one last: a witness or a time stamp gives an old one a new number.
        """
        taken = 0
        left = sorted(notes, key=lambda note: (max(note.size, self.size), note.day != "", note.number))
        while left:
            note = left[0]
            taken += self._add(lines[taken : taken + max(0, note.size - self.size)])
            if note.size > self.size:
                self._number = min(each.number for each in left) - 1  # all up to it are taken
                return bool(taken)
            self._accept(left.pop(0))
        self._number = max((note.number for note in notes), default=self._number)
        rest = self._add(lines[taken:])
        return bool(taken or rest or notes)

    def _add(self, lines: Sequence[PlacedLine]) -> int:
        """Write lines to their days, and flush them. Returns how many."""
        for line in lines:
            self._add_one(line)
        if lines and self._appender:
            self._appender.sync()
        return len(lines)

    def _add_one(self, placed: PlacedLine) -> None:
        if placed.index != self.size:
            raise Broken(f"the database has no record {self.size}, but one of the number {placed.index}")
        try:
            opened = open_line(placed.line)
        except BadLine as error:
            raise Broken(f"record {placed.index} of the database cannot be read ({error.code})") from error
        if placed.day != self._day:
            self._begin(placed.day)
        self._appender = self._appender or disk.Appender(self._path(placed.day))
        self._appender.append(placed.line + b"\n")
        self._tree.add(opened.leaf)
        if opened.skeleton["k"] in _DECLARED:
            self._declared.append(opened)

    def _begin(self, day: str) -> None:
        if self._appender:
            raise Broken(f"the database has records of {day}, but no checkpoint that closes {self._day}")
        self._day = day

    def _path(self, day: str) -> Path:
        _check_name(day)
        return self.folder / "day" / f"{day}.jsonl"

    def _follow_moved_day(self, last: PlacedLine) -> None:
        """Rename the open day if the leader moved it, because a clock had been ahead when it began."""
        if self._appender and last.day != self._day:
            self._appender.close()
            disk.rename(self._path(self._day), self._path(last.day))
            self._day = last.day
            self._appender = disk.Appender(self._path(last.day))

    def _accept(self, note: SharedCheckpoint) -> None:
        if note.day:
            self._close(note)
        elif note.size == self.size:
            self._check_root(note, self._tree.root())
            self._tiles.write(self._tree)
            disk.replace_atomically(self.folder / "checkpoint", note.note.encode())
            self.signed = self.size

    def _close(self, note: SharedCheckpoint) -> None:
        """Keep a day's closing checkpoint, with what others added to it, and close the day if it is open."""
        _check_name(note.day)
        path = self.folder / "checkpoints" / f"{note.day}{CHECKPOINT}"
        ours = path.read_text("utf-8") if path.exists() else ""
        if own_note(ours) != own_note(note.note):
            self._check_closing(note, ours)
            disk.replace_atomically(path, note.note.encode())
        elif len(ours) < len(note.note):
            disk.replace_atomically(path, note.note.encode())
        if note.stamp is not None:
            with suppress(FileExistsError):
                disk.create_once(path.with_suffix(TIMESTAMP), note.stamp)
                disk.sync_directory(path.parent)
        if self._appender and note.day == self._day and note.size == self.size:
            self._appender.close()
            self._appender = None
            close_day(Day(self._day, self._path(self._day)))

    def _check_closing(self, note: SharedCheckpoint, ours: str) -> None:
        """Check a closing checkpoint that the files do not have: that it is signed, and covers the day's lines.

        `ours`: the one that the files have instead, or "". Raises `Forked` or `Broken`.
        """
        if note.size == self.size:
            self._check_root(note, self._tree.root())
        else:
            self._check_root(note, tree_at(self.folder, self.signed, note.size).root())
        is_last = note.day == self._day
        if is_last != (note.size == self.size) or (ours and not is_last):
            raise Broken(f"the database has a checkpoint of {note.size} records that does not close {note.day}")

    def _check_root(self, note: SharedCheckpoint, root: bytes) -> None:
        """Check that the log's key signed a checkpoint, over this root."""
        try:
            signed = open_checkpoint(note.note, [self._verifier])
        except Invalid as error:
            raise Broken(f"the checkpoint of {note.size} records in the database: {error}") from error
        if (signed.size, signed.root) != (note.size, root):
            raise Forked(min(self.signed, note.size))

    def _carry_out(self) -> None:
        """Carry out what is declared and signed, at most once for each checkpoint."""
        due = [each for each in self._declared if _index(each) < self.signed]
        if not due or self._tried == self.signed:
            return
        self._tried = self.signed
        later = [each for each in self._declared if _index(each) >= self.signed]
        waiting, damage = [], []
        for opened in (each for each in due if each.skeleton["k"] == "purge"):
            try:
                self._purge(opened)
            except Broken as error:
                waiting.append(opened)
                damage.append(str(error))
        erasing = [each for each in due if each.skeleton["k"] == "erase"]
        if prevented := self._erase(erasing):
            waiting += erasing
            damage += prevented
        self.unfinished = "; ".join(dict.fromkeys(damage))
        self._declared = [*waiting, *later]
        self._reopen()

    def _purge(self, declared: DecodedLine) -> None:
        """Remove the days that a record purges. Raises `Broken` if one of them cannot be read."""
        log = Log(self.folder)
        try:
            record = log.get(_index(declared))
            below = int(str(record.fields.get("below")))
            check_purge(log, record, below)
        except (LookupError, ValueError, NotAllowed):  # purged itself, malformed, or refused by the leader
            return
        purge(self.folder, below)

    def _erase(self, declared: Sequence[DecodedLine]) -> list[str]:
        """Erase what records name, in all days but damaged ones. Returns what is wrong with each of these."""
        erasures = well_formed(declared)
        return erase_where_possible(Log(self.folder), erasures) if erasures else []

    def _reopen(self) -> None:
        """Continue with the open day's new file, if an erasure replaced it."""
        if self._appender and self._appender.was_replaced():
            self._appender.close()
            self._appender = disk.Appender(self._path(self._day))


def _check_name(day: str) -> None:
    """Check that a day of the table can be a file's name. Raises `Broken`."""
    if not is_day(day):
        raise Broken("the database names a day that is none")


def _index(opened: DecodedLine) -> int:
    index = opened.skeleton["i"]
    assert isinstance(index, int)
    return index
