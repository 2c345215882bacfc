"""Folders for tables that are made again: gone after the work, and after the next one if it was killed."""

from pathlib import Path

import pytest

from storage.journal import disk
from storage.scratch import clear_scratch, scratch_folder


def test_a_folder_is_gone_when_its_work_is_done_or_failed(tmp_path: Path) -> None:
    with pytest.raises(ValueError), scratch_folder(tmp_path) as folder:
        (folder / "state.sqlite3").write_text("words")
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        raise ValueError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", (".scratch-1", ".rebuild-1", ".compare-1"))
def test_what_a_killed_command_left_is_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "state.sqlite3").write_text("words")
    (tmp_path / "records").mkdir()
    clear_scratch(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["records"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path) as second:
        clear_scratch(tmp_path)
        assert first.is_dir() and second.is_dir()
        with pytest.raises(BlockingIOError):
            disk.FolderClaim(first)
