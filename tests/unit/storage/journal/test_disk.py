"""The disk primitives keep their guarantees."""

import os
import stat
from pathlib import Path

import pytest

from storage.journal import disk


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_create_once_never_touches_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "tile"
    disk.create_once(file, b"one")
    with pytest.raises(FileExistsError):
        disk.create_once(file, b"two")
    assert file.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["tile"]


def test_files_are_for_the_owner_and_group_keys_for_the_owner(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        disk.make_folder(tmp_path / "a" / "b")
        disk.create_once(tmp_path / "file", b"")
        disk.create_once(tmp_path / "key", b"", disk.SECRET_MODE)
        disk.replace_atomically(tmp_path / "replaced", b"")
        disk.Appender(tmp_path / "appended").close()
    finally:
        os.umask(mask)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "file", "key", "replaced", "appended")] == [
        0o750,
        0o750,
        0o640,
        0o600,
        0o640,
        0o640,
    ]


def test_a_failed_replacement_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    disk.replace_atomically(file, b"old")
    with pytest.raises(ZeroDivisionError), disk.replacing(file) as draft:
        draft.write(b"half of the n")
        raise ZeroDivisionError
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_an_appender_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    for part in (b"one\n", b"two\n"):
        appender = disk.Appender(tmp_path / "day")
        appender.append(part)
        appender.sync()
        appender.close()
    assert (tmp_path / "day").read_bytes() == b"one\ntwo\n"


def test_cut_keeps_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "day").write_bytes(b"one\ntw")
    disk.cut(tmp_path / "day", 4)
    assert (tmp_path / "day").read_bytes() == b"one\n"


def test_a_folder_can_be_claimed_once(tmp_path: Path) -> None:
    claim = disk.FolderClaim(tmp_path)
    with pytest.raises(BlockingIOError):
        disk.FolderClaim(tmp_path)
    claim.release()
    claim.release()
    disk.FolderClaim(tmp_path).release()


def test_remove_does_not_mind_absence(tmp_path: Path) -> None:
    disk.remove(tmp_path / "nothing")
    disk.create_once(tmp_path / "file", b"")
    disk.remove(tmp_path / "file")
    assert not (tmp_path / "file").exists()
