"""The file for a recovery key: nothing there is overwritten, and a stream is written to."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bot.cli.keys.perform import must_be_new
from moderation.values.errors import Refused

MEMORY = Path("/dev/shm")  # below /dev, but its files are no devices


def test_a_file_that_exists_is_refused_also_in_memory(tmp_path: Path) -> None:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as memory:
        for folder in (tmp_path, Path(memory)):
            must_be_new(folder / "key")
            (folder / "key").touch()
            with pytest.raises(Refused):
                must_be_new(folder / "key")


def test_a_stream_is_no_file_to_overwrite(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for stream in (tmp_path / "pipe", Path("/dev/stdout"), Path("/dev/fd/1"), Path("/dev/null")):
        must_be_new(stream)
