"""The few ways in which the records reach the disk; no other file of the records writes.

Rules kept here: whoever reads a file made by `create_once` or `replacing` sees all of it or none,
also after a power cut; what `Appender.sync` returned from is on the disk. A file is 0640, a folder
0750 and a key 0600, or stricter where the process's umask says so.
Left to others: what is written, in which order, and what a failure means.
"""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o640
FOLDER_MODE = 0o750
SECRET_MODE = 0o600
SECRET_FOLDER_MODE = 0o700
DRAFTS = ".*.tmp"  # the names of files that were being made when a process died

# Data and length suffice for an append; where there is only fsync, that is the stronger promise.
_flush = getattr(os, "fdatasync", os.fsync)


def make_folder(path: Path, mode: int = FOLDER_MODE) -> None:
    """Guarantee: the folder exists; a new one is durable, as is every parent made on the way."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Guarantee: names created, replaced or removed in this folder before the call are durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_once(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Guarantee: afterwards the file holds `data`, durable, unless it was there before.

    An existing file is never touched: then `FileExistsError`. The name appears with its whole
    content or not at all. The name itself is durable after `sync_directory` of the folder, which
    is left to the caller, who often creates several files in one folder.
    """
    draft = _draft_of(path)
    try:
        _write_new(draft, data, mode)
        os.link(draft, path)  # unlike a rename, a link refuses to replace
    finally:
        draft.unlink(missing_ok=True)


def replace_atomically(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Guarantee: readers see the old content or the new; on return the new one is durable."""
    with replacing(path, mode) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, mode: int = FILE_MODE) -> Iterator[BinaryIO]:
    """`replace_atomically` for content too large to hold: write to the file that is yielded.

    If the block raises, the old file stands as it was.
    """
    draft = _draft_of(path)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def cut(path: Path, length: int) -> None:
    """Guarantee: on return the file durably ends after `length` bytes, the rest is gone."""
    with path.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())


def rename(path: Path, other: Path) -> None:
    """Guarantee: on return the file durably has the other name, after a crash one of the two; nothing had it before."""
    if other.exists():
        raise FileExistsError(errno.EEXIST, "it is there already", str(other))
    path.rename(other)
    sync_directory(other.parent)


def remove(path: Path) -> None:
    """Guarantee: on return the name is durably gone; it need not have been there."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def remove_all(paths: Sequence[Path]) -> None:
    """Guarantee: on return all names are durably gone; after a crash, some of them, in no order."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


def remove_folder(path: Path) -> None:
    """Guarantee: the folder of files that can be made again is gone, or partly so after a crash."""
    shutil.rmtree(path, ignore_errors=True)


def give_to_owner_of(folder: Path, path: Path) -> None:
    """Guarantee: run as root, `path` then belongs to whom `folder` belongs to; else nothing is done."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


class FolderClaim:
    """Guarantee: while it is held, no other process holds one on the same folder.

    The system takes it back when the process ends, however it ends. Raises `BlockingIOError` if it is taken.
    """

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._handle)
            raise

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Appender:
    """One file that only grows.

    `append` guarantees that all the bytes were handed to the system in order, or raises `OSError`;
    then some of them may stand in the file. `sync` guarantees that all appended bytes are durable,
    or raises. After a failed sync the system may have dropped the pages while it calls them clean, so
    a second try proves nothing: the caller must stop using the file.
    """

    def __init__(self, path: Path) -> None:
        fresh = not path.exists()
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
        if fresh:
            sync_directory(path.parent)

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def sync(self) -> None:
        _flush(self._handle)

    def was_replaced(self) -> bool:
        """Whether another file stands under this name now, so that what is appended would be lost."""
        ours, there = os.fstat(self._handle), self.path.stat()
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def close(self) -> None:
        os.close(self._handle)


def _draft_of(path: Path) -> Path:
    """A name nobody looks at, in the same folder so that it can become `path` in one step."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
