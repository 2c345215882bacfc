"""A data directory has a name that no copy of it has."""

import shutil
from pathlib import Path

from bot.leading.lead import instance_of


def test_a_data_directory_keeps_its_name(tmp_path: Path) -> None:
    assert instance_of(tmp_path) == instance_of(tmp_path)


def test_a_copy_of_a_data_directory_gets_a_name_of_its_own(tmp_path: Path) -> None:
    one, copy, restored = tmp_path / "one", tmp_path / "copy", tmp_path / "restored"
    one.mkdir()
    name = instance_of(one)
    shutil.copytree(one, copy)
    assert instance_of(copy) != name
    assert instance_of(copy) == instance_of(copy)
    assert instance_of(one) == name
    one.rename(restored)
    assert instance_of(restored) == name


def test_a_name_that_another_machine_made_does_not_count(tmp_path: Path) -> None:
    name = instance_of(tmp_path)
    file = tmp_path / "instance"
    file.write_text(f"{name} 0123456789abcdef:{file.stat().st_dev}:{file.stat().st_ino}")
    assert instance_of(tmp_path) != name


def test_a_damaged_name_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "instance").write_bytes(b"\xff")
    assert len(instance_of(tmp_path)) == 16
