"""The words for a failing disk: it is full, broken, read-only, or another program holds a database.

Rules kept here:
- It is one message that says what to do, in whichever part of the program it happened, and never a traceback.
- An error of the network, too many open files, or a defect of ours, is not taken for one of the disk.

Left to others: ending (`bot/cli/run.py`, `bot/cli/main.py`), turning what SQLite says into these errors
(`storage/database/sqlite_refused.py`).
"""

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from moderation.values.errors import Invalid, Refused

# Errors of the disk, never of the network.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})

_FILES = frozenset({errno.EMFILE, errno.ENFILE})


@contextlib.contextmanager
def told_if_disk_fails(data_dir: Path) -> Iterator[None]:
    """Turn a failing disk, or a database that another process holds, into `Refused`, which says what to do."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise Refused("cli.run.database", data_dir=data_dir, why=error.orig or error) from error
    except Invalid as error:
        if not isinstance(error.__cause__, sqlite3.OperationalError):
            raise
        raise Refused("cli.run.database", data_dir=data_dir, why=error.__cause__) from error
    except OSError as error:
        if error.errno in _FILES:
            raise Refused("cli.run.files", why=error.strerror or error) from error
        key = "cli.run.database" if isinstance(error.__cause__, sqlite3.Error) else "cli.run.disk"
        raise Refused(key, data_dir=data_dir, why=error.strerror or error) from error


def disk_failure(error: Exception) -> Refused | None:
    """Return what to say about an error that ended a command, if it was the disk; None if it was not."""
    if isinstance(error, OSError):
        failed = error.errno in _DISK or isinstance(error.__cause__, sqlite3.Error)
        why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        return Refused("cli.disk_failed", why=why) if failed else None
    driver = error if isinstance(error, sqlite3.Error) else getattr(error, "orig", None)
    if type(driver) in (sqlite3.OperationalError, sqlite3.DatabaseError):
        return Refused("cli.disk_failed", why=driver)
    return None
