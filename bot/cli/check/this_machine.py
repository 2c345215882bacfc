"""The checks of this machine: files and their modes, the disk, who runs.

Rules kept here:
- It only reads.
- What is made at the first start does not count as missing before it.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.run import running_pid

from .database import database_findings
from .findings import Finding, note, ok, problem, warning
from .identity import identity

if TYPE_CHECKING:
    from bot.config.config import Config
    from storage.database.place import DatabasePlace

_GIB = 1 << 30
SCARCE, FULL = 1 * _GIB, _GIB // 10  # bytes free: below the first a warning, below the second a problem


def machine_findings(config: "Config") -> Iterator[Finding]:
    """Yield all findings about this machine."""
    yield from _env(config)
    yield from _data_dir(config.data_dir)
    yield _space(config.data_dir)
    yield from _keys(config.data_dir)
    of_database = list(database_findings(config.place))
    if not any(each.key == "server_refused" for each in of_database):
        yield from _shared_keys(config.place)
        yield identity(config)
    yield from of_database
    yield _running(config.data_dir)


def _env(config: "Config") -> Iterator[Finding]:
    path = config.env_file
    if not path.exists():
        yield note("secrets", "env_none", file=path)
    elif _open_to_others(path):
        yield problem("secrets", "env_open", file=path, mode=_mode(path))
    else:
        yield ok("secrets", "env", file=path)
    if config.secrets.password is not None and config.secrets.access_token is not None:
        yield note("secrets", "password_left", file=path)


def _data_dir(data_dir: Path) -> Iterator[Finding]:
    if not data_dir.exists():
        parent = _existing(data_dir)
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok("disk", "data_dir_later", data_dir=data_dir)
        else:
            yield problem("disk", "data_dir_impossible", data_dir=data_dir, parent=parent)
    elif not data_dir.is_dir():
        yield problem("disk", "data_dir_file", data_dir=data_dir)
    elif not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        yield problem("disk", "data_dir_closed", data_dir=data_dir, mode=_mode(data_dir))
    elif data_dir.stat().st_mode & stat.S_IRWXO:
        yield problem("disk", "data_dir_open", data_dir=data_dir, mode=_mode(data_dir))
    else:
        yield ok("disk", "data_dir", data_dir=data_dir)


def _space(data_dir: Path) -> Finding:
    free = shutil.disk_usage(_existing(data_dir)).free
    fields = {"data_dir": data_dir, "mib": free // (1 << 20)}
    if free < FULL:
        return problem("disk", "space_full", **fields)
    if free < SCARCE:
        return warning("disk", "space_scarce", **fields)
    return ok("disk", "space", **fields)


def _keys(data_dir: Path) -> Iterator[Finding]:
    """Check keys, and files that name people: anybody who has them can forge or read."""
    from storage.file_modes import weak

    folder = data_dir / "keys"
    readable = weak(data_dir)
    for path in readable:
        yield problem("keys", "key_open", file=path, mode=_mode(path))
    if folder.is_dir() and not readable:
        yield ok("keys", "keys", folder=folder)


def _shared_keys(place: "DatabasePlace") -> Iterator[Finding]:
    """Check that this machine has the keys that all machines of the deployment must have."""
    from bot.account.key_files import wrong_key_files

    try:
        found = wrong_key_files(place)
    except OSError:  # the check of the database tells
        return
    for each in found:
        yield problem("keys", "key_file_missing" if each.is_missing else "key_file_other", file=each.path)
    if place.url is not None and not found:
        yield ok("keys", "key_files")


def _running(data_dir: Path) -> Finding:
    pid = running_pid(data_dir)
    return ok("running", "running", pid=pid) if pid else note("running", "not_running")


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def _existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
