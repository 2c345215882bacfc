"""`answerable logs rebuild-db`, `verify --tables` and `show` on PostgreSQL."""

import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from bot.cli.logs.words import display_names
from bot.cli.terminal.output import LED_ELSEWHERE
from bot.config.config import load_config
from bot.config.database import DATABASE_URL
from bot.leading.lead import INSTANCE, leads, lines_of
from moderation.model.facts import CreditChanged
from moderation.values.ids import PersonId
from storage import schema
from storage.database.place import DatabasePlace
from storage.database.server import session
from storage.journal.journal import Journal
from storage.journal.record_keys import PersonKeys
from storage.record_mapping import draft_of_fact
from tests.unit.bot.cli.conftest import Answerable
from tests.unit.bot.cli.logs.test_rebuild import BEN, CODE, NOON, data

__all__ = ["data"]


@pytest.fixture
def place(data: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> DatabasePlace:
    """Provide the place of a deployment that has records, and no tables yet."""
    monkeypatch.setenv(DATABASE_URL, postgres_url)
    return DatabasePlace(data, SecretStr(postgres_url))


def rows(place: DatabasePlace, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**session(place)) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def tables(place: DatabasePlace, named: str = "answerable") -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(**session(place)) as connection:
        found = {
            name: connection.execute(f'SELECT * FROM "{named}"."{name}"').fetchall() for name in schema.metadata.tables
        }
    return {name: sorted(of_table) for name, of_table in found.items()}


def schemas(place: DatabasePlace) -> list[str]:
    found = rows(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'answerable%' ORDER BY 1")
    return [name for (name,) in found if name != "answerable_shared"]


def test_tables_are_made_from_nothing_and_again_the_same(place: DatabasePlace, answerable: Answerable) -> None:
    assert answerable("logs", "rebuild-db", "--json").json["records"] == 4
    first = tables(place)
    assert len(first["credit"]) == 1
    again = answerable("logs", "rebuild-db", "--json").json
    assert tables(place) == first == tables(place, again["kept"])
    assert schemas(place) == ["answerable", again["kept"]]
    assert not place.file.exists()


def test_changes_are_found_and_repaired_and_what_no_record_holds_is_kept(
    place: DatabasePlace, answerable: Answerable
) -> None:
    answerable("logs", "rebuild-db")
    assert answerable("logs", "verify", "--tables").code == 0
    whole = tables(place)["credit"]
    rows(place, "UPDATE credit SET cost = 500")
    rows(place, "INSERT INTO meta VALUES ('sync_token', 's99')")
    found = answerable("logs", "verify", "--tables", "--json")
    assert (found.code, {each["table"] for each in found.json["tables"]}) == (1, {"credit"})
    kept = answerable("logs", "rebuild-db", "--json").json["kept"]
    assert tables(place)["credit"] == whole != tables(place, kept)["credit"]
    assert ("sync_token", "s99") in tables(place)["meta"]
    assert answerable("logs", "verify", "--tables").code == 0


def test_a_second_old_state_of_a_day_has_a_name_of_its_own_and_a_broken_attempt_leaves_nothing(
    place: DatabasePlace, answerable: Answerable
) -> None:
    rows(place, 'CREATE SCHEMA "answerable_$rebuild"')
    kept = [answerable("logs", "rebuild-db", "--json").json["kept"] for _ in range(3)]
    assert kept[0] is None
    assert schemas(place) == sorted(["answerable", *kept[1:]])


def test_a_damaged_journal_leaves_the_old_tables(place: DatabasePlace, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    before = tables(place)
    (day,) = (place.data_dir / "records" / "day").iterdir()
    day.write_bytes(day.read_bytes().replace(b'"k":"credit"', b'"k":credit'))
    assert answerable("logs", "rebuild-db").code != 0
    assert tables(place) == before


def test_never_runs_while_another_machine_leads(
    place: DatabasePlace, answerable: Answerable, config_file: Path, tmp_path: Path
) -> None:
    answerable("logs", "rebuild-db")
    other = tmp_path / "other"
    shutil.copytree(place.data_dir, other / "data")
    (other / "data" / INSTANCE).unlink(missing_ok=True)
    shutil.copyfile(config_file, other / "config.toml")
    with leads(load_config(other / "config.toml")):
        done = answerable("logs", "rebuild-db")
    assert (done.code, "Traceback" in done.err) == (LED_ELSEWHERE, False)
    assert schemas(place) == ["answerable"]


def test_what_only_the_table_of_the_log_has_is_taken_first(
    place: DatabasePlace, answerable: Answerable, config_file: Path
) -> None:
    records, behind = place.data_dir / "records", place.data_dir.parent / "behind"
    shutil.copytree(records, behind)
    credit = CreditChanged(n=1, entry="charge", cost=7, grade="minor", rule="calm", left=88, subject=BEN)
    with leads(load_config(config_file)) as epoch:
        table = lines_of(place, "test", epoch)
        keys = PersonKeys.open(place, epoch)
        with Journal.open(place.data_dir, "example.org/log", keys, NOON, table=table) as journal:
            journal.append([draft_of_fact(credit, NOON, CODE, PersonId)])
            journal.close(NOON)
        keys.close()
        table.close()
    whole = answerable("logs", "rebuild-db", "--json").json
    before = tables(place)
    shutil.rmtree(records)
    behind.rename(records)
    again = answerable("logs", "rebuild-db", "--json").json
    assert (whole["records"], again["records"], again["end_missing"]) == (5, 5, 0)
    assert tables(place) == before


def test_names_are_found_and_a_missing_server_costs_only_them(place: DatabasePlace, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    columns = [column.name for column in schema.members.columns]
    values = {"room": "!r", "user": "@ben:example.org", "display_name": "Ben"}
    numbers = {column.name for column in schema.members.columns if column.type.python_type is int}
    filled = [values.get(name, "0" if name in numbers else "") for name in columns]
    quoted = ", ".join(f"'{value}'" for value in filled)
    rows(place, f"INSERT INTO members VALUES ({quoted})")
    assert display_names(place)("@ben:example.org") == "Ben"
    away = DatabasePlace(place.data_dir, SecretStr("postgresql://127.0.0.1:1/nowhere"))
    assert display_names(away)("@ben:example.org") == ""
