"""Data of an older version works with this one; `older_version/README.md` says what is in it and how it was made."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli.check import upgrade
from bot.cli.main import app
from moderation.model.facts import CaseDecided
from moderation.values.durations import DAY_MS
from moderation.values.errors import Invalid
from moderation.values.ids import RoomId
from storage import outbox
from storage.database.database import is_older
from storage.database.place import FILE, DatabasePlace
from storage.database.schemas import schemas
from storage.database.sqlite import migrate, schema_of
from storage.journal.verify.verify import verify
from tests.archives import unpack
from tests.door.offline import MARK, offline

ARCHIVE = Path(__file__).parent / "older_version" / "data.tar.xz"
FOLDERS = ("deployment", "purged")
LATER = 1_830_000_000_000  # in 2027, after everything in it
WAIT = 8  # requests that were not sent
MADE = 1_796_126_449_000  # when its backup was made


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide the data in the folders `FOLDERS`."""
    unpack(ARCHIVE, tmp_path)
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
    assert is_older(DatabasePlace(data))
    migrate(data / FILE)
    assert not is_older(DatabasePlace(data))
    assert "The database agrees with the records" in answerable("logs", "verify", "--tables", "--data-dir", str(data))


def upgrade_check(folder: Path, expected: int) -> Any:
    ran = CliRunner().invoke(app, ("upgrade-check", "--json", "--config", str(folder / "config.toml")))
    assert ran.exit_code == expected, ran.output
    return json.loads(ran.output)


def test_upgrade_check_says_what_the_next_start_does_and_does_nothing(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = older / "deployment"
    file = folder / "data" / FILE
    before = file.read_bytes()
    with (folder / "config.toml").open("a") as config:
        config.write("\n[caps]\nmembers = 9\n")
    monkeypatch.setattr(upgrade, "now_ms", lambda: MADE + DAY_MS)
    found = upgrade_check(folder, 0)
    assert (found["ran"], found["schema"], found["newest"]) == ("0.1.0", "0010", schemas()[-1])
    assert [each["schema"] for each in found["migrations"]] == schemas()[1:]
    assert all(each["what"] for each in found["migrations"])
    assert (found["backup"], found["renamed"], found["ready"]) == (MADE, {"caps": "member_limits"}, True)
    assert found["bytes_needed"] > 3 * len(before)
    assert file.read_bytes() == before

    monkeypatch.setattr(upgrade, "now_ms", lambda: MADE + DAY_MS + 1)  # the backup is too old now
    assert keys(upgrade_check(folder, 1)) >= {"upgrade_backup_old", "upgrade_migrations", "config_renamed"}
    migrate(file)
    found = upgrade_check(folder, 0)
    assert (found["migrations"], keys(found) >= {"upgrade_same", "upgrade_backup_old"}) == ([], True)


@pytest.mark.parametrize(("schema", "key"), [("9999", "upgrade_newer"), ("0001", "upgrade_too_old")])
def test_upgrade_check_refuses_a_database_that_it_cannot_migrate(older: Path, schema: str, key: str) -> None:
    with closing(sqlite3.connect(older / "deployment" / "data" / FILE)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        database.commit()
    assert key in keys(upgrade_check(older / "deployment", 1))


def test_upgrade_check_says_if_space_or_a_backup_is_missing(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "FULL", 1 << 60)
    monkeypatch.setattr(upgrade, "now_ms", lambda: LATER)
    found = upgrade_check(older / "purged", 1)
    problems = {each["key"] for each in found["findings"] if each["state"] == "problem"}
    assert problems in ({"upgrade_space", "upgrade_backup_none"}, {"upgrade_space", "upgrade_backup_old"})


def test_upgrade_check_before_the_first_start_finds_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@a:example.org"\n')
    assert "upgrade_no_data" in keys(upgrade_check(tmp_path, 0))
    assert not (tmp_path / "data").exists()


def keys(found: Any) -> set[str]:
    return {each["key"] for each in found["findings"]}


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
