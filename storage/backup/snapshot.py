"""A consistent copy of a data directory while the bot runs.

Rules kept here:
- The database is copied before the journal: the next start catches up what the journal has and the database has not,
  never the other way round.
- What the policy server wrote is copied before the tables: a refusal that the bot records meanwhile is in both, and is
  recorded once; the other way round it could be in neither.
- The journal and the keys of persons are copied in one turn of the only writer, with everything signed.
- That turn is short: files that never change in place are linked, not copied, and the copy is on the same file system.
- No draft and no deleted row is copied.
- Tables on PostgreSQL become the same files as those of SQLite, so that a backup can be restored to either.

Left to others: whose turn it is (`bot/admin/backup.py`), making one file of it (`bundle.py`).
"""

import os
import shutil
import sqlite3
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path

from storage.database.place import FILE as STATE
from storage.database.place import DatabasePlace
from storage.journal import disk
from storage.journal.record_keys import FILE as IDENTITY
from storage.moving.stores import identity_store
from storage.moving.to_files import copy_to_files

from .contents import LOG_KEY, MEDIA, POLICY, POLICY_KEYS, POLICY_STATE, RECORDS, SPOOL

FOLDER = ".backup"  # in the data directory; a running backup holds a claim on it
STAGE = "stage"


def begin(data_dir: Path) -> Path:
    """Create an empty folder to copy into."""
    stage = data_dir / FOLDER / STAGE
    disk.remove_folder(stage)
    disk.make_folder(stage, disk.SECRET_FOLDER_MODE)
    return stage


def copy_database(place: DatabasePlace, stage: Path) -> None:
    """Copy the policy server's keys and answers, then the tables, as they are now. May run while the writers work."""
    _copy_policy_server(place.data_dir, stage)
    if place.url is None:
        vacuum_into(place.file, stage / STATE)
    else:
        copy_to_files(place, stage, state=True)


def _copy_policy_server(data_dir: Path, stage: Path) -> None:
    if not (data_dir / POLICY).is_dir():
        return
    disk.make_folder(stage / POLICY, disk.SECRET_FOLDER_MODE)
    for name in POLICY_KEYS:
        if (data_dir / name).exists():
            disk.create_once(stage / name, (data_dir / name).read_bytes(), disk.SECRET_MODE)
    if (data_dir / POLICY_STATE).exists():
        vacuum_into(data_dir / POLICY_STATE, stage / POLICY_STATE)


def copy_records(place: DatabasePlace, stage: Path) -> None:
    """Copy the journal, its key and the keys of persons. Must run in a turn of the writer."""
    data_dir = place.data_dir
    for name in (RECORDS, SPOOL, MEDIA):
        if (data_dir / name).is_dir():
            _copy_folder(data_dir / name, stage / name)
    disk.make_folder(stage / Path(LOG_KEY).parent, disk.SECRET_FOLDER_MODE)
    shutil.copyfile(data_dir / LOG_KEY, stage / LOG_KEY)
    if place.url is None:
        vacuum_into(data_dir / IDENTITY, stage / IDENTITY)
    else:
        copy_to_files(place, stage, [identity_store(place)])


def vacuum_into(source: Path, target: Path) -> None:
    """Copy a whole database, without deleted data, as of one moment."""
    disk.create_once(target, b"", disk.SECRET_MODE)
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        database.execute("VACUUM INTO ?", (str(target),))


def clean(data_dir: Path) -> None:
    """Remove the remains of an interrupted backup, unless one is being made."""
    folder = data_dir / FOLDER
    if not folder.is_dir():
        return
    try:
        claim = disk.FolderClaim(folder)
    except BlockingIOError:
        return
    try:
        disk.remove_folder(folder)
    finally:
        claim.release()


def _copy_folder(source: Path, target: Path) -> None:
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(mode=disk.SECRET_FOLDER_MODE, parents=True, exist_ok=True)
        for name in names:
            if not fnmatch(name, disk.DRAFTS):
                _take(Path(folder) / name, into / name)


def _take(source: Path, target: Path) -> None:
    """Copy an open day, which grows; link any other file, since a change replaces it by a new file."""
    if source.suffix != ".jsonl":
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            pass
        else:
            return
    shutil.copyfile(source, target)
