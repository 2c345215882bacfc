"""Folders for tables that are made again: beside the others in the data directory, and gone when the work is.

Rules kept here:
- What a killed command left is removed by the next one and at the bot's next start, since nothing would be erased in
  it. What a running command uses is left alone.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .journal import disk

PREFIX = ".scratch-"
_LEFT = (f"{PREFIX}*", ".rebuild-*", ".compare-*")  # older versions named them so


@contextmanager
def scratch_folder(data_dir: Path) -> Iterator[Path]:
    """Yield a new folder, and remove it at the end."""
    clear_scratch(data_dir)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=data_dir) as name:
        claim = disk.FolderClaim(Path(name))
        try:
            yield Path(name)
        finally:
            claim.release()


def clear_scratch(data_dir: Path) -> None:
    """Remove the folders that nobody uses any more."""
    for folder in [found for left in _LEFT for found in data_dir.glob(left)]:
        try:
            claim = disk.FolderClaim(folder)
        except OSError:  # in use, or another user's
            continue
        try:
            disk.remove_folder(folder)
        finally:
            claim.release()
