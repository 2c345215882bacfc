"""The words for a failing disk or database: full, broken, read-only, stopped, or held by another program.

Rules kept here:
- It is one message that says what to do, in whichever part of the program it happened, and never a traceback.
- An error of the network, too many open files, or a defect of ours, is not taken for one of the disk.

Left to others: ending (`bot/cli/run.py`, `bot/cli/main.py`), turning what SQLite says into these errors
(`storage/database/sqlite_refused.py`), what PostgreSQL says (`storage/database/refusals.py`).
"""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from moderation.values.errors import Invalid, Refused
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused, refusal_of

from .output import words_of

# Errors of the disk, never of the network.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})

_FILES = frozenset({errno.EMFILE, errno.ENFILE})


@contextlib.contextmanager
def told_if_disk_fails(place: DatabasePlace) -> Iterator[None]:
    """Turn a failing disk or database into `Refused`, which says what to do."""
    try:
        yield
    except DatabaseRefused:
        raise
    except Exception as error:
        refusal = refusal_of(error, place) or disk_refusal(error, place.data_dir)
        if refusal is None:
            raise
        if isinstance(refusal, DatabaseRefused):
            raise Refused("cli.run.server", why=words_of(refusal)) from error
        raise refusal from error


def disk_refusal(error: Exception, data_dir: Path) -> Refused | None:
    """Return what to say about an error that ended the bot, if it was the disk; None if it was not."""
    if isinstance(error, Invalid) and isinstance(error.__cause__, sqlite3.OperationalError):
        return Refused("cli.run.database", data_dir=data_dir, why=error.__cause__)
    if isinstance(error, OSError) and error.errno in _FILES:
        return Refused("cli.run.files", why=error.strerror or error)
    if isinstance(error, OSError):
        key = "cli.run.database" if isinstance(error.__cause__, sqlite3.Error) else "cli.run.disk"
        return Refused(key, data_dir=data_dir, why=error.strerror or error)
    if isinstance(driver := getattr(error, "orig", None), sqlite3.Error):
        return Refused("cli.run.database", data_dir=data_dir, why=driver)
    return None


def disk_failure(error: Exception) -> Refused | None:
    """Return what to say about an error that ended a command, if it was the disk or database; None if it was not."""
    if (refusal := refusal_of(error)) is not None:
        return refusal
    if isinstance(error, OSError):
        failed = error.errno in _DISK or isinstance(error.__cause__, sqlite3.Error)
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        return Refused("cli.disk_failed", why=why) if failed else None
    driver = error if isinstance(error, sqlite3.Error) else getattr(error, "orig", None)
    if type(driver) in (sqlite3.OperationalError, sqlite3.DatabaseError):
        return Refused("cli.disk_failed", why=driver)
    return None
