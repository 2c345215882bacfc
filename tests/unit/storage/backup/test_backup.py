"""A backup is complete or absent, replaces nothing, contains nothing deleted, and restores everything it took."""

import os
import sqlite3
import stat
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from moderation.values.errors import Invalid
from storage.backup import snapshot
from storage.backup.bundle import opened, unpack, write
from storage.backup.contents import MANIFEST, Manifest, decode, is_ours
from storage.database.place import FILE as STATE
from storage.database.place import DatabasePlace
from storage.journal import disk
from storage.journal.record_keys import FILE as IDENTITY

MANIFEST_OF = Manifest(1, "1.0", "@bot:example.org", "example.org/bot", 3, "root", 0, 1)


def nothing(_done: int, _of: int) -> None:
    """Ignore the progress."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Provide a data directory with everything that matters for backups."""
    data = tmp_path / "data"
    for folder in ("records/day", "records/tile/0", "keys", "spool", "crypto/device"):
        (data / folder).mkdir(parents=True)
    files = {
        "records/day/2026-11-23.jsonl.zst": b"closed",
        "records/day/2026-11-24.jsonl": b"open\n",
        "records/tile/0/000": b"hashes",
        "records/.checkpoint.12345678.tmp": b"half a draft",
        "records/checkpoint": b"signed",
        "keys/log.key": b"secret",
        "keys/crypto.key": b"opens the crypto store",
        "crypto/device/crypto.sqlite3": b"ratchets",
        "spool/access-1.json": b"{}",
        "lock": b"1",
    }
    for name, content in files.items():
        (data / name).write_bytes(content)
    for name in (STATE, IDENTITY):
        with closing(sqlite3.connect(data / name)) as database, database:
            database.execute("CREATE TABLE kept (words TEXT)")
            database.execute("INSERT INTO kept VALUES ('here'), ('deleted-words')")
        with closing(sqlite3.connect(data / name)) as database, database:
            database.execute("DELETE FROM kept WHERE words = 'deleted-words'")
    return data


def taken(data_dir: Path) -> Path:
    """Take a snapshot of the data directory."""
    stage = snapshot.begin(data_dir)
    snapshot.copy_database(DatabasePlace(data_dir), stage)
    snapshot.copy_records(DatabasePlace(data_dir), stage)
    return stage


def packed(data_dir: Path) -> Path:
    """Make a backup of the data directory."""
    file = data_dir.parent / "backup.zip"
    write(taken(data_dir), file, MANIFEST_OF, nothing)
    return file


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_round_trips_without_device_keys(data_dir: Path, tmp_path: Path) -> None:
    stage = taken(data_dir)
    manifest = write(stage, tmp_path / "backup.zip", MANIFEST_OF, nothing)
    with opened(tmp_path / "backup.zip") as (zipped, read):
        unpack(zipped, read, tmp_path / "back", nothing)
    assert read == manifest
    back = files_below(tmp_path / "back")
    assert back == files_below(stage)
    assert sorted(back) == [
        IDENTITY,
        "keys/log.key",
        "records/checkpoint",
        "records/day/2026-11-23.jsonl.zst",
        "records/day/2026-11-24.jsonl",
        "records/tile/0/000",
        "spool/access-1.json",
        STATE,
    ]


def test_an_open_day_that_grows_while_the_copy_is_packed_is_as_it_was(data_dir: Path) -> None:
    stage = taken(data_dir)
    with (data_dir / "records/day/2026-11-24.jsonl").open("ab") as day:
        day.write(b"later\n")
    assert (stage / "records/day/2026-11-24.jsonl").read_bytes() == b"open\n"


def test_deleted_rows_are_not_in_the_backup(data_dir: Path) -> None:
    stage = taken(data_dir)
    assert [b"deleted-words" in (stage / name).read_bytes() for name in (STATE, IDENTITY)] == [False, False]
    assert [b"here" in (stage / name).read_bytes() for name in (STATE, IDENTITY)] == [True, True]


def test_backup_files_are_private_whatever_the_umask(data_dir: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = packed(data_dir)
        with opened(file) as (zipped, read):
            unpack(zipped, read, tmp_path / "back", nothing)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((data_dir / snapshot.FOLDER / snapshot.STAGE).stat().st_mode) == 0o700
    modes = {
        name: stat.S_IMODE((tmp_path / "back" / name).stat().st_mode) for name in (STATE, IDENTITY, "keys/log.key")
    }
    assert modes == dict.fromkeys(modes, 0o600)
    assert stat.S_IMODE((tmp_path / "back" / "keys").stat().st_mode) == 0o700


def test_a_file_that_is_there_is_not_replaced(data_dir: Path) -> None:
    file = packed(data_dir)
    before = file.read_bytes()
    with pytest.raises(FileExistsError):
        write(taken(data_dir), file, MANIFEST_OF, nothing)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup.zip", "data"]


def test_every_changed_byte_of_content_is_noticed(data_dir: Path, tmp_path: Path) -> None:
    file = packed(data_dir)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            target.writestr(info.filename, b"Signed" if info.filename == "records/checkpoint" else content)
    with pytest.raises(Invalid, match="records/checkpoint in it is damaged"), opened(other) as (zipped, read):
        unpack(zipped, read, tmp_path / "back", nothing)


@pytest.mark.parametrize(
    "cut", [0, 10, -10, -200], ids=["nothing of it", "its beginning", "without its end", "without its list"]
)
def test_a_backup_that_is_cut_off_is_refused(data_dir: Path, cut: int) -> None:
    file = packed(data_dir)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(Invalid), opened(file):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "records/../../evil",
        "keys/crypto.key",
        "crypto/a/b",
        ".env",
        "records/.hidden",
        "",
        "x",
    ],
)
def test_a_forged_backup_puts_nothing_outside_what_backups_have(data_dir: Path, tmp_path: Path, name: str) -> None:
    assert not is_ours(name)
    with opened(packed(data_dir)) as (_, manifest):
        forged = Manifest(1, "1", "@bot:example.org", "o", 1, "r", 0, 1, files={**manifest.files, name: (1, "0" * 64)})
    file = tmp_path / "forged.zip"
    with zipfile.ZipFile(file, "w") as target:
        target.writestr(MANIFEST, forged.encoded())
        target.writestr(name or "nameless", b"x")
    with pytest.raises(Invalid, match="no backup has"), opened(file):
        pass


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"files": {}}', b'{"files": {"a": 1}}', b"\xff"])
def test_an_invalid_page_is_refused(said: bytes) -> None:
    with pytest.raises(Invalid):
        decode(said)


def test_remains_of_an_interrupted_backup_are_removed(data_dir: Path) -> None:
    stage = taken(data_dir)
    claim = disk.FolderClaim(data_dir / snapshot.FOLDER)
    snapshot.clean(data_dir)
    assert stage.is_dir()
    claim.release()
    snapshot.clean(data_dir)
    assert not (data_dir / snapshot.FOLDER).exists()
