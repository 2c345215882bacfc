"""The files that a move leaves beside the others: its mark (`storage/database/moved.py` reads it), and drafts."""

from pathlib import Path

import orjson

from storage.database.moved import FILE, STAGE
from storage.journal import disk


def note_files_left(data_dir: Path, to: str, at_ms: int) -> None:
    """Mark the files as moved to the database `to`, an address without a password."""
    disk.replace_atomically(data_dir / FILE, orjson.dumps({"to": to, "at": at_ms}), disk.SECRET_MODE)


def forget_files_left(data_dir: Path) -> None:
    """Remove the mark: the files are in use again."""
    disk.remove(data_dir / FILE)


def clear_interrupted(data_dir: Path) -> None:
    """Remove what a killed move left, once it is certain that it did not count: nothing would be erased in it."""
    disk.remove_folder(data_dir / STAGE)
