"""The few functions that write the records to disk; no other module of `storage/journal` writes.

Rules kept here:
- A reader sees a file made by `create_once` or `replacing` either complete or not at all, also after a power cut.
- When `Appender.sync` has returned, the data is on the disk.
- A file has mode 0640, a folder 0750 and a key 0600, or a stricter one if the process's umask says so.
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
DRAFTS = ".*.tmp"  # names of files that were being written when a process died

# For an append, data and length suffice; fsync, used where there is no fdatasync, promises more.
_flush = getattr(os, "fdatasync", os.fsync)


def make_folder(path: Path, mode: int = FOLDER_MODE) -> None:
    """Guarantee: the folder exists; a new one is durable, as is every parent created for it."""
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


@contextmanager
def new_file(path: Path, mode: int) -> Iterator[BinaryIO]:
    """Guarantee: after the block the new file is durable; its name is so after `sync_directory` of the folder."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def create_once(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Guarantee: afterwards the file holds `data`, durable, unless it existed before.

    An existing file is never touched: `FileExistsError` is raised instead. The name appears with its
    complete content or not at all. The name itself is durable after `sync_directory` of the folder,
    which is left to the caller, who often creates several files in one folder.
    """
    draft = _draft_of(path)
    try:
        with new_file(draft, mode) as file:
            file.write(data)
        os.link(draft, path)  # unlike a rename, a link refuses to replace
    finally:
        draft.unlink(missing_ok=True)


def replace_atomically(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Guarantee: readers see either the old content or the new; on return the new content is durable."""
    with replacing(path, mode) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, mode: int = FILE_MODE) -> Iterator[BinaryIO]:
    """Replace a file as `replace_atomically` does, for content too large for memory: write to the yielded file.

    If the block raises, the old file is left as it was.
    """
    draft = _draft_of(path)
    try:
        with new_file(draft, mode) as file:
            yield file
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
    """Guarantee: on return the file durably has the other name; after a crash it has one of the two.

    Raises `FileExistsError` if a file has the other name already.
    """
    if other.exists():
        raise FileExistsError(errno.EEXIST, "it is there already", str(other))
    path.rename(other)
    sync_directory(other.parent)


def remove(path: Path) -> None:
    """Guarantee: on return the name is durably gone; it need not have existed."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def remove_all(paths: Sequence[Path]) -> None:
    """Guarantee: on return all names are durably gone; after a crash some of them are, in no particular order."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


def remove_folder(path: Path) -> None:
    """Guarantee: the folder is gone, or partly so after a crash. Only for files that can be made again."""
    shutil.rmtree(path, ignore_errors=True)


def give_to_owner_of(folder: Path, path: Path) -> None:
    """Guarantee: when running as root, `path` then belongs to the owner of `folder`; otherwise nothing is done."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


class FolderClaim:
    """A lock on a folder. Guarantee: while a process holds it, no other process holds one on the same folder.

    The system releases it when the process ends, however it ends. Raises `BlockingIOError` if it is taken.
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
    then some of them may be in the file. `sync` guarantees that all appended bytes are durable,
    or raises. After a failed sync the system may have dropped the pages and marked them clean, so
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
        """Tell whether the name now belongs to another file, so that appended data would be lost."""
        ours, there = os.fstat(self._handle), self.path.stat()
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def close(self) -> None:
        os.close(self._handle)


def _draft_of(path: Path) -> Path:
    """Return a hidden name in the same folder, so that the file can be renamed to `path` in one step."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
