"""`answerable check` and `upgrade-check` of a database on PostgreSQL: what it says, and that it only looks."""

import asyncio
import time
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from bot.cli.check import database as checks
from bot.config.database import DATABASE_URL
from storage import schema
from storage.database import shared_tables
from storage.database.database import Database
from storage.database.following import Following
from storage.database.place import DatabasePlace
from storage.database.schemas import schemas
from storage.moving.file_mark import note_files_left
from tests.postgres.server import Server, own_server
from tests.unit.bot.cli.conftest import Answerable


def of_database(answerable: Answerable) -> dict[str, str]:
    """Return the findings about the database as key -> state."""
    found = answerable("check", "--json").json
    return {each["key"]: each["state"] for each in found if each["check"] == "database"}


def made(url: str, folder: Path) -> DatabasePlace:
    """Make the tables, of which three records are known."""
    place = DatabasePlace(folder, SecretStr(url))

    async def make() -> None:
        database = await Database.open(place)
        async with database.write() as db:
            await db.execute(insert(schema.meta).values(key="applied", value="3"))
        await database.close()

    asyncio.run(make())
    return place


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Provide the address of a database, which the settings name."""
    monkeypatch.setenv(DATABASE_URL, postgres_url)
    return postgres_url


def test_before_the_first_start_nothing_is_missing_and_nothing_is_made(url: str, answerable: Answerable) -> None:
    found = of_database(answerable)
    assert (found["server"], found["server_later"]) == ("ok", "ok")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'answerable%'").fetchall() == []


def test_a_deployment_that_was_not_moved_yet_is_told_to_be(url: str, answerable: Answerable, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    asyncio.run(_in_files(tmp_path / "data"))
    found = answerable("check", "--json").json
    (said,) = [each["text"] for each in found if each["key"] == "server_refused"]
    assert "answerable database move --to postgresql" in said
    assert "server_missing" not in {each["key"] for each in found}


async def _in_files(data: Path) -> None:
    await (await Database.open(DatabasePlace(data))).close()


def test_tables_are_said_to_work_and_settings_that_lose_what_was_confirmed_are_told(
    url: str, answerable: Answerable, tmp_path: Path
) -> None:
    made(url, tmp_path / "data")
    found = answerable("check", "--json").json
    assert "3" in next(each["text"] for each in found if each["key"] == "database")
    unsafe = [each["text"].split()[1] for each in found if each["key"] == "server_unsafe"]
    assert unsafe == ["fsync", "full_page_writes"]  # of the server of the tests


def test_a_safe_server_is_not_blamed(answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_server(durable=True) as server:
        monkeypatch.setenv(DATABASE_URL, server.url())
        assert "server_unsafe" not in of_database(answerable)


def test_what_a_rebuild_or_a_move_left_is_named(url: str, answerable: Answerable, tmp_path: Path) -> None:
    data = tmp_path / "data"
    made(url, data)
    assert not {"server_left", "files_left"} & of_database(answerable).keys()
    left = ["answerable$before-rebuild-2026-11-24", "answerable$before-rebuild-2026-11-24-2", "answerable_$rebuild"]
    with psycopg.connect(url, autocommit=True) as connection:
        for schema_name in (*left, "answerable_other", "answerable$identity"):
            connection.execute(f'CREATE SCHEMA "{schema_name}"')
    data.mkdir(exist_ok=True)
    note_files_left(data, "postgresql://db/answerable", 1)
    for file in ("state.sqlite3", "state.sqlite3.before-rebuild-2026-11-24"):
        (data / file).touch()
    found = answerable("check", "--json").json
    assert [each["text"].split()[2] for each in found if each["key"] == "server_left"] == left
    files = [each["text"].split()[0] for each in found if each["key"] == "files_left"]
    assert [Path(each).name for each in files] == ["state.sqlite3", "state.sqlite3.before-rebuild-2026-11-24"]


def test_a_standby_that_is_silent_or_did_not_erase_is_named(url: str, answerable: Answerable, tmp_path: Path) -> None:
    made(url, tmp_path / "data")
    with psycopg.connect(url, autocommit=True) as connection:
        shared_tables.make(connection)
        connection.execute("INSERT INTO answerable_shared.shards VALUES ('', 'o', 'k', 3, 'three')")
        Following("", "well", "1", time.monotonic).say(connection, 0, "")
        assert not {"standby_silent", "standby_unfinished"} & of_database(answerable).keys()
        Following("", "damaged.example.org", "2", time.monotonic).say(connection, 0, "2026-11-24.jsonl.zst")
        connection.execute("UPDATE answerable_shared.standbys SET at = now() - interval '2 hours' WHERE who = 'well'")
    found = {each["key"]: each["text"] for each in answerable("check", "--json").json}
    assert "well" in found["standby_silent"]
    assert "damaged.example.org" in found["standby_unfinished"]
    assert "2026-11-24" in found["standby_unfinished"]
    (well,) = [each for each in answerable("status", "--json").json["standbys"] if each["who"] == "well"]
    assert well["silent_s"] >= 7200
    shown = answerable("status").out
    assert "2 h" in shown


def test_a_second_machine_is_told_that_its_records_come_with_its_first_start(
    url: str, answerable: Answerable, tmp_path: Path
) -> None:
    made(url, tmp_path / "data")
    found = {each["key"]: each["state"] for each in answerable("check", "--json").json if each["check"] == "records"}
    assert found["journal_later"] == "ok"
    assert "journal_missing" not in found


def test_a_database_far_away_is_told(url: str, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SLOW_MS", 1e9)
    assert of_database(answerable)["server_near"] == "ok"
    monkeypatch.setattr(checks, "SLOW_MS", 0.0)
    assert of_database(answerable)["server_far"] == "warning"


def test_an_account_without_rights_is_told(url: str, answerable: Answerable, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS answerable_weak")
        connection.execute("CREATE ROLE answerable_weak LOGIN")
    try:
        monkeypatch.setenv(DATABASE_URL, url.replace("postgres@", "answerable_weak@"))
        assert of_database(answerable)["server_rights"] == "problem"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE answerable_weak")


def test_a_server_that_is_down_is_one_problem_without_a_traceback(
    answerable: Answerable, monkeypatch: pytest.MonkeyPatch, own_postgres: Server
) -> None:
    monkeypatch.setenv(DATABASE_URL, own_postgres.url().replace("postgres@", "postgres:hush@"))
    own_postgres.stop()
    said = answerable("check")
    assert "does not answer" in said.out
    assert "hush" not in said.out + said.err
    assert of_database(answerable) == {"server_refused": "problem"}
    for command in (("cases",), ("status",), ("upgrade-check",)):
        done = answerable(*command)
        assert (done.code, "does not answer" in done.err, "hush" in done.err) == (1, True, False), command


def test_an_upgrade_says_what_it_migrates(url: str, answerable: Answerable, tmp_path: Path) -> None:
    place = made(url, tmp_path / "data")
    with psycopg.connect(url) as connection:
        connection.execute(f'UPDATE "{place.schema}".alembic_version SET version_num = %s', [schemas()[-2]])
    told = answerable("upgrade-check", "--json").json
    assert (told["schema"], [each["schema"] for each in told["migrations"]]) == (schemas()[-2], [schemas()[-1]])
    assert of_database(answerable)["server_refused"] == "problem"


def test_commands_that_read_read_there(url: str, answerable: Answerable, tmp_path: Path) -> None:
    made(url, tmp_path / "data")
    assert answerable("cases", "--json").json == []
    assert not (tmp_path / "data" / "state.sqlite3").exists()
