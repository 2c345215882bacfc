"""The journal: drafts go in, numbered, salted and hashed; after `sync` they stay.

Rules kept here, in the order in which things reach the disk:
0. on PostgreSQL, lines and checkpoints into the table that the machines share (`line_log.py`), each before its file,
1. lines into the open day (`append`), 2. flushed (`sync`), 3. the tiles that hash them, 4. the signed checkpoint.
A checkpoint is never ahead of what is durable: else, after a power cut, the log would sign another history
under a size it had signed already. Tiles come before it, so that a reader of it finds what it promises.
After a failed write or flush nothing is accepted any more: what is on disk is then unknown, and
only a new opening, which reads it, can tell. One process at a time holds a log.
All calls are synchronous and are made by one thread at a time, from a worker thread.
Left to others: carrying out erasures and purges (`removals.py`), what is recorded, erased and purged, and when
(`bot/pipeline/pipeline.py`), checking (`storage/journal/verify/verify.py`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from moderation.values.errors import Broken, Invalid
from moderation.values.ids import PersonId, RecordIndex

from . import disk
from .clock_order import Times, note, start_of
from .level import alone, level
from .line_format import Written, day_of, decode, time_ms
from .line_log import LineLog
from .open_day import OpenDay, day_after
from .pseudonyms import Names
from .reader import Log
from .record import NOBODY, Draft, Part, Record
from .record_keys import PersonKeys
from .record_kinds.check import check_draft
from .recover import EndMissing, RecoveredLog, Recovery, was_sealed
from .removals import Removals
from .retention.purge import check_purge
from .retention.targets import Targets
from .transparency import log_key
from .transparency.checkpoint import Checkpoint
from .transparency.daily_checkpoints import Closings
from .transparency.proof import Prover
from .transparency.signed_note import Signer
from .transparency.tiles import Tiles
from .transparency.tlog_proof import make_proof

FORMAT = 1
CHECKPOINT_MS = 60_000
CHECKPOINT_RECORDS = 256


class Journal:
    """An open log; use it as a context manager or close it by `close`."""

    def __init__(
        self,
        folder: Path,
        signer: Signer,
        keys: PersonKeys,
        claim: disk.FolderClaim,
        state: RecoveredLog,
        table: LineLog | None = None,
        lost: int = 0,
    ) -> None:
        self.folder = folder
        self.lost = lost  # records that the database had lost, and has again: others of its data may be old, too
        self.recovery: Recovery | None = state.recovery
        self.unfinished = ""  # why a declared erasure or purge could not be finished: a damaged day
        self._table = table
        self._signer = signer
        self._claim = claim
        self._names = Names(keys)
        self._log = Log(folder)
        self._tiles = Tiles(folder / "tile")
        self._tree = state.tree
        self.signed = state.signed  # the number of records that the newest checkpoint covers
        self.signed_ms = 0  # when the log was last signed, or found to need no signing, since this opening
        self._synced = state.tree.size
        self._day = OpenDay(folder, table, state)
        self._failed = False
        self._removals = Removals(self._log, self._day, table, self._or_refuse_from_now_on)
        self._prover = Prover(self._tiles)
        self._times = Times()
        if self._day.is_open:
            self._times.resume(self._day.name, state.last_ms)
        self._unexplained = state.unexplained
        self._is_sealed = was_sealed(folder, state.tree.size)  # then the first new records are signed at once

    @classmethod
    def open(
        cls,
        data_dir: Path,
        origin: str,
        keys: PersonKeys,
        now_ms: int,
        at_least: int = 0,
        table: LineLog | None = None,
    ) -> "Journal":
        """Open the log in ``<data_dir>/records``, or begin one named `origin`.

        A log keeps the name it was begun with. Tiles and checkpoint are brought up to the records on disk; `recovery`
        says what was cut off. Raises `EndMissing`, and writes nothing, if there are fewer than `at_least`
        records; `Invalid` if another process has the log open or `origin` cannot be a name, `Broken` if the log is
        damaged, `OSError` if the disk fails. With a `table`, files and table are brought to one state first
        (`level.py`), and every later write is made in both.
        """
        folder = data_dir / "records"
        for name in ("day", "tile", "checkpoints"):
            disk.make_folder(folder / name)
        claim = _claim(folder)
        try:
            signer = log_key.load_or_create(data_dir, folder, origin)
            found = alone(folder, signer.verifier) if table is None else level(folder, signer.verifier, table)
            state = found.state
            if state.tree.size < at_least:
                raise EndMissing(state.tree.size, at_least)
            journal = cls(folder, signer, keys, claim, state, table, found.lost)
            journal._catch_up(now_ms, found.foreign)
            journal.unfinished = journal._removals.finish(journal.size)
        except BaseException:
            claim.release()
            raise
        return journal

    @property
    def size(self) -> int:
        """The number of records, which is also the index of the next one."""
        return self._tree.size

    @property
    def is_usable(self) -> bool:
        """Tell whether records are accepted: not after a failed write, nor once it is closed."""
        return not self._failed

    @property
    def origin(self) -> str:
        """The log's name, as every checkpoint bears it."""
        return self._signer.name

    @property
    def vkey(self) -> str:
        """The verifier key (C2SP signed-note), for everybody to keep."""
        return self._signer.verifier.text

    @property
    def signed_checkpoint(self) -> str:
        """The newest checkpoint, as signed."""
        return (self.folder / "checkpoint").read_text("utf-8")

    def append(self, drafts: Sequence[Draft]) -> list[RecordIndex]:
        """Write records to the open day, in this order; they are durable after the next `sync`.

        A record goes to the UTC day of its time, but never to a day before the open one, so that a clock set back
        leaves the order as it is; where a record is much older than the one before it, a note follows
        (`clock_order.py`). If any draft breaks the rules of `kinds`, `Broken` is raised and nothing is written.
        """
        self._must_be_usable()
        for draft in drafts:
            check_draft(draft)
        start, count = self.size, len(drafts)
        days = list(self._day.days_of(drafts))
        notes = self._times.notes(days, drafts, start)
        lines = self._names.encode([*drafts, *notes], start)
        with self._or_refuse_from_now_on():
            placed = zip([*days, *days[-1:] * len(notes)], lines, strict=True)
            for day, run in groupby(placed, key=itemgetter(0)):
                if day != self._day.name or not self._day.is_open:
                    self._begin(day)
                self._write([line for _, line in run])
        return [RecordIndex(index) for index in range(start, start + count)]

    def sync(self) -> None:
        """Flush: on return all records appended so far are durable."""
        self._must_be_usable()
        if self._day.is_open and self._synced != self.size:
            with self._or_refuse_from_now_on():
                self._day.sync()
            self._synced = self.size
            if self._is_sealed:
                self._is_sealed = False
                self.checkpoint(self.signed_ms)

    def due_for_checkpoint(self, now_ms: int) -> bool:
        """Tell whether 256 records are unsigned, or any has been for 60 seconds. A clock set back counts as due."""
        waiting = self.size - self.signed
        in_time = 0 <= now_ms - self.signed_ms < CHECKPOINT_MS
        return waiting >= CHECKPOINT_RECORDS or (waiting > 0 and not in_time)

    def checkpoint(self, now_ms: int) -> None:
        """Sign all records: flush, write the tiles, then the checkpoint. See the module for why in this order."""
        self.sync()
        if self.signed == self.size:
            return
        with self._or_refuse_from_now_on():
            self._write_tiles()
            disk.replace_atomically(self.folder / "checkpoint", self._sign(""))
        self.signed = self.size
        self.signed_ms = now_ms

    def close_day(self, now_ms: int) -> str | None:
        """Close the open day if it is over, and return its name. `append` does the same on its own.

        Call this some time after midnight UTC, so that a quiet log gets its closing checkpoint too.
        """
        self._must_be_usable()
        if not self._day.is_open or day_of(now_ms) <= self._day.name:
            return None
        with self._or_refuse_from_now_on():
            self._close_day()
        return self._day.name

    def mend_future(self, now_ms: int) -> str | None:
        """Move an open day that lies in the future, begun while a clock was wrong, to its place. Returns its new name.

        Otherwise all records would go into that day until it comes, and no day would be closed. Call this only with a
        time that can be trusted. A note names the records that are dated after the new day.
        """
        self._must_be_usable()
        closed = [day.name for day in self._log.days() if day.closed]
        name = max(day_of(now_ms), day_after(closed[-1] if closed else ""))
        if not self._day.is_open or self._day.name <= max(name, day_after(day_of(now_ms))):
            return None
        end = time_ms(start_of(day_after(name)))
        ahead = [record.index for record in self._log.read(self._day.first) if record.at_ms >= end]
        if ahead:
            self.append([note(ahead[0], now_ms, ahead[-1] - ahead[0] + 1)])
        self.checkpoint(now_ms)
        with self._or_refuse_from_now_on():
            self._day.move(name)
        return name

    @property
    def closings(self) -> Closings:
        """The closing checkpoints of the days; what is added to them reaches the other machines."""
        return Closings(self.folder, self._table)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Return an iterator over the records from `start` up to, not including, `stop`. Raises `Broken` at damage."""
        return self._log.read(start, stop)

    def get(self, index: int) -> Record:
        """Return one record. Raises `LookupError` if it does not exist or was purged."""
        found = self._day.line_of(index)
        return decode(found) if found is not None else self._log.get(index)

    def proof(self, index: int) -> str:
        """Return the proof file of a record, by the newest checkpoint; sign first if that is older than the record.

        Its format is in `storage/journal/transparency/tlog_proof.py`. Raises `Invalid` if there is no such record,
        `LookupError` if it was purged.
        """
        if self.signed <= index < self.size:
            self.checkpoint(self.signed_ms)
        return make_proof(self._prover, self.signed_checkpoint, index)

    def erase(self, targets: Targets, by: int) -> list[str]:
        """Erase the parts `targets`, which the `erase` record `by` names. Returns the days that were rewritten.

        The record must be in the log; it is signed first. It must not name parts that a hold covers:
        `storage/journal/retention/find.py` has set those apart. Raises `Broken` if the record does not name `targets`
        or a day is damaged, `OSError` if the disk fails; the next opening then finishes the erasure.
        """
        self._removals.must_be_named(targets, by)
        self.checkpoint(self.signed_ms)
        return self._removals.erase(targets, by)

    def forget(self, person: PersonId) -> None:
        """Destroy a person's key, so that their pseudonyms lead nowhere. If they return, they get a new key."""
        self._names.forget(person)

    def purge(self, below: int, by: int) -> list[str]:
        """Remove all records before `below`, as the `purge` record `by` declares. Returns the removed days.

        The record must be in the log; it is signed first. `below` comes from `purge.plan_purge`, which honours holds.
        Raises `Broken` if the record does not declare it or anything in it is too young, as `erase` otherwise.
        """
        check_purge(self._log, self.get(by), below)
        self.checkpoint(self.signed_ms)
        self._prover = Prover(self._tiles)
        return self._removals.purge(below)

    def close(self, now_ms: int) -> None:
        """Sign what is not signed yet and release the log."""
        try:
            if not self._failed:
                self.checkpoint(now_ms)
        finally:
            self._release()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _release(self) -> None:
        """Release the log without signing; what was synced is safe, and the next opening signs it."""
        self._failed = True
        self._day.release()
        self._claim.release()

    def _catch_up(self, now_ms: int, foreign: int) -> None:
        """Begin a new log with `genesis`; give an old one the tiles and checkpoint of its records.

        `coverage` records name the records that were unsigned until now and those that were set aside (`foreign`).
        """
        self.signed_ms = now_ms
        unsigned = self.size - self.signed
        if self.size == 0:
            data = {"vkey": self.vkey}
            self.append([Draft("genesis", now_ms, fields={"format": FORMAT}, parts=(Part(NOBODY, data),))])
        else:
            self._day.sync()  # a killed process may have left lines that only the cache has
        if self._unexplained:  # cut off between a record and the note about it
            self.append([note(index, now_ms) for index in self._unexplained])
        if unsigned:
            self.append([Draft("coverage", now_ms, fields={"what": "unsigned", "count": unsigned, "on": self.signed})])
        if foreign:
            self.append([Draft("coverage", now_ms, fields={"what": "foreign", "count": foreign, "on": -1})])
        self.sync()
        self._write_tiles()
        self.checkpoint(now_ms)

    def _write(self, lines: Sequence[Written]) -> None:
        self._day.append(lines, self.size)
        self._tree.extend([line.leaf for line in lines])

    def _begin(self, day: str) -> None:
        """Close the open day and begin a new one."""
        if self._day.is_open:
            self._close_day()
        self._day.begin(day, self.size)

    def _close_day(self) -> None:
        """Sign the day for the last time, store that checkpoint, compress the day.

        Each step can be repeated after a crash.
        """
        self.checkpoint(self.signed_ms)
        day = self._day.name
        disk.replace_atomically(self.folder / "checkpoints" / f"{day}.ckpt", self._sign(day))
        self._day.close()

    def _write_tiles(self) -> None:
        try:
            self._tiles.write(self._tree)
        except FileExistsError as error:
            raise Broken(
                f"{error.filename2 or error.filename}: this tile does not belong to the records beside it; run "
                "`answerable logs verify`, and remove the tile if only it is wrong: it is then made again"
            ) from error

    def _sign(self, day: str) -> bytes:
        """Return the signed checkpoint, which closes `day` if one is named; the table has it before it is returned."""
        note = Checkpoint(self.origin, self.size, self._tree.root()).signed(self._signer)
        if self._table is not None:
            self._table.put_checkpoint(day, self.size, note)
        return note.encode()

    def _must_be_usable(self) -> None:
        if self._failed:
            raise Broken("the journal refuses to go on after a failed write, or is closed; open it anew")

    @contextmanager
    def _or_refuse_from_now_on(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed = True
            raise


def _claim(folder: Path) -> disk.FolderClaim:
    try:
        return disk.FolderClaim(folder)
    except BlockingIOError as error:
        raise Invalid(f"{folder}: another process has this log open; stop it first") from error
