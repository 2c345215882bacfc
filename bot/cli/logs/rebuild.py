"""`answerable logs rebuild-db`: rebuild the database from the journal, which is the source of truth.

The new database is made next to the old one and takes its place in one step; the old one stays as
``state.sqlite3.before-rebuild-DATE``, on PostgreSQL as the schema ``answerable$before-rebuild-DATE``. What the journal
does not hold is taken over from the old one if that can be read: how far the homeserver's events were fetched, and
what is still to be sent. What the old one had not applied yet is left for the bot's next start, which judges it.

Rules kept here:
- It never runs while the bot does, on this machine or another, and none can start meanwhile.
- A crash at any instant leaves the old database or the new one under the name, never none.
- The journal is only read, after its files were brought up to what its table in PostgreSQL has.

Left to others: what a record makes of the tables (`bot/pipeline/replay.py`, `storage/projections/`), schemas of
PostgreSQL (`storage/database/swap.py`).
"""

import asyncio
import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bot.cli.access.access_reason import DataDir, place_of
from bot.cli.access.lookup import now_ms
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, read_config
from bot.cli.terminal.output import as_json, say, text
from bot.cli.terminal.progress import Bar, progress
from moderation.values.errors import Refused

if TYPE_CHECKING:
    from storage.database.fence import Epoch
    from storage.database.place import DatabasePlace
    from storage.journal.journal import Journal
    from storage.journal.record import Record

_KEPT_META = ("sync_token", "alive")
_SIDES = ("-wal", "-shm")
_STEP = 500  # records between two reports of progress


@dataclass(frozen=True, slots=True)
class Old:
    """The content of the old database that the journal does not have. `applied` None: it could not be read."""

    applied: int | None = None
    meta: dict[str, str] = field(default_factory=dict)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    left: str = ""  # up to where events had left their table


def rebuild_db(json: AsJson = False, data_dir: DataDir = None, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Rebuild the database."""
    from bot.cli.run import only_instance, running_pid

    place, now = place_of(data_dir, config_file), now_ms()
    data = place.data_dir
    if (pid := running_pid(data)) is not None:
        raise Refused("cli.logs.rebuild_running", data_dir=data, pid=pid)
    with only_instance(data), _leading(place, config_file) as epoch, progress() as bar:
        old, count, kept = rebuild(place, now, bar, epoch)
    missing = end_missing(old, count)
    if json:
        told = {"records": count, "kept": str(kept) if kept else None, "taken_over": old.applied is not None}
        as_json({**told, "end_missing": missing})
        return
    say("cli.logs.rebuilt", count=count)
    if missing:
        say("cli.logs.rebuild_end_missing", count=missing, last=str(count - 1))
    if kept:
        say("cli.logs.rebuild_kept", file=kept)
        if old.applied is None:
            say("cli.logs.rebuild_unreadable")


@contextmanager
def _leading(place: "DatabasePlace", config_file: Path) -> "Iterator[Epoch | None]":
    """Lead the log meanwhile; None for a file, which the lock of the data directory protects. Raises `Refused`."""
    if place.url is None:
        yield None
        return
    from bot.leading.lead import leads

    with leads(read_config(config_file)) as epoch:
        yield epoch


def rebuild(
    place: "DatabasePlace", now: int, bar: Bar | None, epoch: "Epoch | None" = None
) -> tuple[Old, int, Path | str | None]:
    """Rebuild the database in place.

    Returns what was taken over, how many records were applied, and where the old database is now.
    """
    if epoch is not None:
        return _rebuild_schema(place, now, bar, epoch)
    from storage.database.place import DatabasePlace
    from storage.journal import disk
    from storage.scratch import scratch_folder

    old = read_old(place)
    with scratch_folder(place.data_dir) as folder:
        made = DatabasePlace(folder)
        count = asyncio.run(fill(made, place.data_dir / "records", old, bar, leaving=True))
        _settle(made.file)
        disk.give_to_owner_of(place.data_dir, made.file)
        kept = _set_aside(place.file, now) if place.file.exists() else None
        made.file.replace(place.file)
        disk.sync_directory(place.data_dir)
    return old, count, kept


def _rebuild_schema(place: "DatabasePlace", now: int, bar: Bar | None, epoch: "Epoch") -> tuple[Old, int, str | None]:
    from storage.database.swap import fresh_beside, take_place

    _follow_table(place)
    old = read_old(place)
    made = fresh_beside(place, epoch)
    count = asyncio.run(fill(made, place.data_dir / "records", old, bar, leaving=True, epoch=epoch))
    return old, count, take_place(place, made, now, epoch)


def _follow_table(place: "DatabasePlace") -> None:
    """Bring the files up to the table of the log: another machine may have led last. Raises `Refused` or `Broken`."""
    from bot.leading.lead import lines_of, worded
    from storage.journal.level import files_differ, follow, open_follower

    with worded(place), files_differ(place.data_dir):
        table = lines_of(place, "answerable")
        try:
            follow(open_follower(place.data_dir, table))
        finally:
            table.close()


class Upto:
    """The journal as `bot.pipeline.replay.rebuild` reads it: the records below `size`, with progress."""

    def __init__(self, folder: Path, size: int | None, bar: Bar | None) -> None:
        from storage.journal.reader import Log

        self._log = Log(folder)
        self._limit = size
        self._bar = bar
        self.size = size or 0

    def read(self) -> Iterator["Record"]:
        """Yield the records. Raises `Broken` at a damaged line."""
        for record in self._log.read(0, self._limit):
            if self._bar and record.index % _STEP == 0:
                self._bar(text("cli.logs.rebuilding"), record.index, self._limit or 0)
            self.size = record.index + 1
            yield record


def end_missing(old: Old, count: int) -> int:
    """Return how many records the old database knew that are not in a log of `count` records."""
    return max(0, (old.applied or 0) - count)


async def fill(
    place: "DatabasePlace",
    records: Path,
    old: Old,
    bar: Bar | None,
    *,
    leaving: bool = False,
    epoch: "Epoch | None" = None,
) -> int:
    """Make a database in an empty place from the records. Returns how many were applied.

    `leaving`: events that had left the old one's table leave that of the new one, too. `epoch`: of the leader.
    """
    from sqlalchemy import insert

    from bot.pipeline.replay import rebuild
    from storage import schema
    from storage.database.database import Database
    from storage.projections import END_MISSING, LeftEvents, set_meta

    database = await Database.open(place, epoch=epoch)
    try:
        async with database.write() as db:  # first, since the record of an outcome removes the row it belongs to
            for key, value in old.meta.items():
                await db.execute(insert(schema.meta).values(key=key, value=value))
            for row in old.outbox:
                await db.execute(insert(schema.outbox).values(**row))
        left = LeftEvents.parse(old.left) if leaving and old.left else None
        count = await rebuild(cast("Journal", Upto(records, old.applied, bar)), database, left)
        if missing := end_missing(old, count):
            async with database.write() as db:
                await set_meta(db, END_MISSING, str(missing))
        return count
    finally:
        await database.close()


def read_old(place: "DatabasePlace", *, settled: bool = True) -> Old:
    """Return what to take over. A database that cannot be read, or that a newer version wrote, gives nothing.

    `settled`: a file's write-ahead log is written into it first, which only its one user may do. An older version may
    lack columns, which then get their default. Raises `DatabaseRefused` if its server does not answer.
    """
    from storage import schema
    from storage.database.database import is_there, refuse_other_schema
    from storage.database.plain import reading
    from storage.projections import EVENTS_LEFT

    if not is_there(place):
        return Old()
    try:
        if settled and place.url is None:
            _settle(place.file)
        refuse_other_schema(place, only_newer=True)
        with reading(place) as tables:
            meta = {str(key): str(value) for key, value in tables.tuples("SELECT key, value FROM meta")}
            rows = tables.rows("SELECT * FROM outbox")
        names = [column.name for column in schema.outbox.columns if rows and column.name in rows[0]]
        outbox = [{name: row[name] for name in names} for row in rows]
        kept = {key: meta[key] for key in _KEPT_META if key in meta}
        return Old(int(meta["applied"]), kept, outbox, meta.get(EVENTS_LEFT, ""))
    except Exception:  # any fault is the very reason to rebuild it
        return Old()


def _settle(path: Path) -> None:
    """Write all of the write-ahead log into the file itself."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _set_aside(path: Path, now: int) -> Path:
    """Give the old database a second name, with its side files, which the new one would take for its own."""
    day = dt.datetime.fromtimestamp(now / 1000, dt.UTC).strftime("%Y-%m-%d")
    kept = path.with_name(f"{path.name}.before-rebuild-{day}")
    number = 2
    while kept.exists():
        kept = path.with_name(f"{path.name}.before-rebuild-{day}-{number}")
        number += 1
    for side in _SIDES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + side).replace(kept.with_name(kept.name + side))
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copy2(path, kept)
    return kept
