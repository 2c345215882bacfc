"""A consistent copy of a data directory while the bot goes on.

Rules kept here: the database is copied first and the journal after it, since what the journal has and the database
has not is caught up at the next start, never the other way round; the journal and the keys of persons are copied in
one turn of the one writer, with everything signed. That turn is short: what never changes in place is linked, not
copied, and the copy is on the same file system. No draft and no deleted row is carried along.
Left to others: whose turn it is (`bot/admin/backup.py`), making one file of it (`bundle.py`).
"""

import os
import shutil
import sqlite3
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path

from storage.database import FILE as STATE
from storage.journal import disk
from storage.journal.record_keys import FILE as IDENTITY

from .contents import LOG_KEY, MEDIA, RECORDS, SPOOL

FOLDER = ".backup"  # in the data directory; whoever makes a backup holds a claim on it
STAGE = "stage"


def begin(data_dir: Path) -> Path:
    """An empty folder to copy into."""
    stage = data_dir / FOLDER / STAGE
    disk.remove_folder(stage)
    disk.make_folder(stage, disk.SECRET_FOLDER_MODE)
    return stage


def copy_database(data_dir: Path, stage: Path) -> None:
    """The tables as they stand now. May run beside the writer."""
    vacuum_into(data_dir / STATE, stage / STATE)


def copy_records(data_dir: Path, stage: Path) -> None:
    """The journal, its key and the keys of persons. In a turn of the writer."""
    for name in (RECORDS, SPOOL, MEDIA):
        if (data_dir / name).is_dir():
            _copy_folder(data_dir / name, stage / name)
    disk.make_folder(stage / Path(LOG_KEY).parent, disk.SECRET_FOLDER_MODE)
    shutil.copyfile(data_dir / LOG_KEY, stage / LOG_KEY)
    vacuum_into(data_dir / IDENTITY, stage / IDENTITY)


def vacuum_into(source: Path, target: Path) -> None:
    """A whole database, without what was deleted from it, as of one moment."""
    disk.create_once(target, b"", disk.SECRET_MODE)
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        database.execute("VACUUM INTO ?", (str(target),))


def clean(data_dir: Path) -> None:
    """Remove what a backup that was cut short has left, unless one is being made."""
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
    """An open day grows, and so is copied; whatever else is changed is replaced by another file."""
    if source.suffix != ".jsonl":
        try:
            os.link(source, target)
        except OSError:  # a file system without links
            pass
        else:
            return
    shutil.copyfile(source, target)
