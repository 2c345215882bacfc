"""Data of an older version works with this one; `older_version/README.md` says what is in it and how it was made."""

import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from moderation.model.facts import CaseDecided
from moderation.values.errors import Invalid
from moderation.values.ids import RoomId
from storage import outbox
from storage.database import FILE, is_older, migrate, schema_of, schemas
from storage.journal.verify.verify import verify
from tests.door.offline import MARK, offline

ARCHIVE = Path(__file__).parent / "older_version" / "data.tar.xz"
FOLDERS = ("deployment", "purged")
LATER = 1_830_000_000_000  # in 2027, after everything in it
WAIT = 8  # requests that were not sent


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the data in the folders `FOLDERS`."""
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answerable(*arguments: str) -> str:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    return ran.output


def tables(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows but those of `meta`, which no record makes."""
    with closing(sqlite3.connect(data / FILE)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall()) for name in names if name != "meta"}


def test_it_is_older(older: Path) -> None:
    assert {schema_of(older / folder / "data" / FILE) for folder in FOLDERS} == {"0010"} != {schemas()[-1]}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_log_verifies(older: Path, folder: str) -> None:
    assert "Nothing is wrong" in answerable("logs", "verify", "--data-dir", f"{folder}/data")


@pytest.mark.parametrize("folder", FOLDERS)
async def test_the_bot_goes_on_from_it(older: Path, folder: str) -> None:
    async with offline(older / folder) as bot:
        bot.time.ms = LATER
        async with bot.stores.database.read() as db:
            waiting = await outbox.due_rows(db, LATER, 100)
            assert len(waiting) >= WAIT
        ((n,),) = await bot.rows("SELECT n FROM cases WHERE rule = 'no-rain'")
        await bot.say(MARK, f"!dismiss {n} G-2222 no", room=RoomId("!desk-garden:example.org"))
        assert [fact.n for fact in bot.facts(CaseDecided)][-1] == n


def test_its_database_migrates_and_agrees_with_the_records(older: Path) -> None:
    data = older / "deployment" / "data"
    assert is_older(data / FILE)
    migrate(data / FILE)
    assert not is_older(data / FILE)
    assert "The database agrees with the records" in answerable("logs", "verify", "--tables", "--data-dir", str(data))


def test_it_is_compared_with_the_records_only_after_it_was_migrated(older: Path) -> None:
    ran = CliRunner().invoke(app, ["logs", "verify", "--tables", "--data-dir", "deployment/data"])
    assert (ran.exit_code, "has an older schema" in str(ran.exception)) == (1, True)


def test_a_rebuilt_database_is_the_migrated_one(older: Path) -> None:
    migrated, data = older / "migrated", older / "deployment" / "data"
    shutil.copytree(data, migrated)
    migrate(migrated / FILE)
    told = json.loads(answerable("logs", "rebuild-db", "--json", "--data-dir", str(data)))
    assert told["taken_over"] is True
    assert tables(data) == tables(migrated)
    assert len(tables(data)["outbox"]) == WAIT


def test_a_database_too_old_to_migrate_is_made_again_with_what_waits(older: Path) -> None:
    data = older / "deployment" / "data"
    with closing(sqlite3.connect(data / FILE)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0009'")
    with pytest.raises(Invalid, match="answerable logs rebuild-db"):
        migrate(data / FILE)
    answerable("logs", "rebuild-db", "--data-dir", str(data))
    assert len(tables(data)["outbox"]) == WAIT


def test_a_backup_is_restored_with_what_waits(older: Path) -> None:
    shutil.move(older / "deployment" / "backup.zip", older / "backup.zip")
    told = answerable("restore", "backup.zip", "--json")
    assert json.loads(told[told.index("{") :])["waiting"] == WAIT
    assert verify(older / "data" / "records").problems == ()
    assert "agrees with the records" in answerable("logs", "verify", "--tables", "--data-dir", "data")
