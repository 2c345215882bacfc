"""Private files of a data directory: keys, and files that name people or contain what they wrote.

Rules kept here:
- Files are created with their mode, so there is never a moment in which they are open; a file with another mode was
  copied or changed by somebody.
- A group may read the records, if the operator lets it: they contain no key, and `docs/records.md` is for readers.

Left to others: reporting (`bot/cli/check/this_machine.py`), closing them at a start (`bot/cli/run.py`).
"""

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from storage.database.place import FILE as STATE

from .backup.snapshot import FOLDER as BACKUP
from .journal.record_keys import FILE as IDENTITY
from .policy_server.tables import FOLDER as POLICY_SERVER

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SIDES = ("", "-wal", "-shm", "-journal")
_FOLDERS = ("keys", "crypto", "spool", POLICY_SERVER, BACKUP)


def private_paths(data_dir: Path) -> Iterator[Path]:
    """Yield the private files and folders that exist."""
    singles = [data_dir / (name + side) for name in (STATE, IDENTITY) for side in _SIDES]
    yield from (path for path in (*singles, data_dir / "control.sock") if path.exists())
    for name in _FOLDERS:
        folder = data_dir / name
        if folder.is_dir():
            yield folder
            yield from sorted(folder.rglob("*"))


def open_to_others(path: Path) -> bool:
    """Return whether anybody but the owner may do anything with it."""
    return bool(path.stat().st_mode & _OTHERS)


def weak(data_dir: Path) -> list[Path]:
    """Return the private files that others may read or write."""
    found = []
    for path in private_paths(data_dir):
        with suppress(FileNotFoundError):  # a note that was picked up, a journal of SQLite that has ended
            if open_to_others(path):
                found.append(path)
    return found


def close(data_dir: Path) -> list[Path]:
    """Remove everybody else's rights and return the files that were open.

    Raises `PermissionError` for files that are not ours.
    """
    found = weak(data_dir)
    for path in found:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    return found
