"""The session in the database: the same device on every machine, and no token for those who read the database."""

import shutil
from pathlib import Path

import pytest

from bot.account.kept_session import KeptSession, keep_session, kept_session
from bot.account.key_files import WrongKeyFile, wrong_key_files
from bot.account.new_device import begin_again
from bot.account.tables import ALL, reading
from bot.crypto.errors import WrongKey
from bot.crypto.store_key import FILE, load_or_create
from bot.matrix.login import Session
from moderation.values.errors import Broken
from moderation.values.ids import UserId
from storage.database.fence import Superseded
from tests.postgres.engines import Engine, on_postgresql, on_sqlite

BOT = UserId("@bot:example.org")
TOKEN = "syt_a-secret-token"
SESSION = Session("http://127.0.0.1:8008", BOT, "DEVICE", TOKEN)


def keep(engine: Engine, folder: Path, session: Session = SESSION) -> None:
    epoch = engine.epoch()
    assert epoch is not None
    keep_session(engine.place(folder), session, epoch)


def other_machine(tmp_path: Path) -> Path:
    """Return the data directory of a machine that was given the key."""
    shutil.copytree(tmp_path / "a" / FILE.parent, tmp_path / "b" / FILE.parent)
    return tmp_path / "b"


@on_postgresql
def test_is_found_by_another_machine_that_has_the_key(engine: Engine, tmp_path: Path) -> None:
    assert kept_session(engine.place(tmp_path / "a")) is None
    keep(engine, tmp_path / "a")
    keep(engine, tmp_path / "a", Session("http://127.0.0.1:8008", BOT, "DEVICE", "another"))
    found = kept_session(engine.place(other_machine(tmp_path)))
    assert found == KeptSession(BOT, "DEVICE", "another")
    assert "another" not in repr(found)


@on_postgresql
def test_is_not_readable_in_the_database(engine: Engine, tmp_path: Path) -> None:
    keep(engine, tmp_path / "a")
    with reading(engine.place(tmp_path)) as store:
        assert store is not None
        values = [value for table in ALL for row in store.execute(table.select()) for value in row]
    kept = repr(values)
    assert "crypto.key" in kept
    assert TOKEN not in kept
    assert "DEVICE" not in kept


@on_postgresql
def test_is_not_opened_without_the_key_or_with_another_one(engine: Engine, tmp_path: Path) -> None:
    keep(engine, tmp_path / "a")
    with pytest.raises(Broken, match="other machine"):
        kept_session(engine.place(tmp_path / "b"))
    load_or_create(tmp_path / "b", store_exists=False)
    with pytest.raises(WrongKey):
        kept_session(engine.place(tmp_path / "b"))


@on_postgresql
def test_a_former_leader_does_not_replace_it(engine: Engine, tmp_path: Path) -> None:
    keep(engine, tmp_path / "a")
    former = engine.epoch()
    assert former is not None
    engine.take_over()
    with pytest.raises(Superseded):
        keep_session(engine.place(tmp_path / "a"), Session("", BOT, "DEVICE", "stale"), former)
    assert kept_session(engine.place(tmp_path / "a")) == KeptSession(BOT, "DEVICE", TOKEN)


@on_sqlite
def test_without_a_server_none_is_kept(engine: Engine, tmp_path: Path) -> None:
    assert kept_session(engine.place(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


@on_postgresql
def test_a_new_device_begins_again_with_the_key_that_its_machine_has(engine: Engine, tmp_path: Path) -> None:
    keep(engine, tmp_path / "a")
    epoch = engine.epoch()
    assert epoch is not None
    begin_again(engine.place(tmp_path / "b"), Session("", BOT, "NEW", "another"), epoch)  # the key is lost
    assert kept_session(engine.place(tmp_path / "b")) == KeptSession(BOT, "NEW", "another")
    assert wrong_key_files(engine.place(tmp_path / "b")) == []
    assert wrong_key_files(engine.place(tmp_path / "a")) == [WrongKeyFile(tmp_path / "a" / FILE, False)]
