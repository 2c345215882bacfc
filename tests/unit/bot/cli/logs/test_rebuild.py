"""`answerable logs rebuild-db`: the same tables from the journal alone, in one step, never while the bot runs."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.cli.logs.rebuild import Upto
from bot.cli.run import only_instance
from moderation.model.facts import CaseOpened, CreditChanged, RoomEntered
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record_keys import PersonKeys
from storage.record_mapping import draft_of_fact
from tests.unit.bot.cli.conftest import Answerable

NOON = 1_795_521_600_000
BEN, CODE = UserId("@ben:example.org"), GroupCode("G-7F3K")


@pytest.fixture
def data(config_file: Path) -> Path:
    data = config_file.parent / "data"
    keys = PersonKeys.open(DatabasePlace(data))
    entered = RoomEntered(code=CODE, purpose="group", room_id="!garden:example.org", subject=BEN)
    case = CaseOpened(
        room=RoomId("!garden:example.org"),
        n=1,
        rule="calm",
        grade="minor",
        decide="auto",
        state="decided",
        due=0,
        subject=BEN,
    )
    credit = CreditChanged(n=1, entry="charge", cost=5, grade="minor", rule="calm", left=95, subject=BEN)
    with Journal.open(data, "example.org/log", keys, NOON) as journal:
        journal.append([draft_of_fact(fact, NOON, CODE, PersonId) for fact in (entered, case, credit)])
        journal.close(NOON)
    keys.close()
    return data


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall()) for name in names}


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_makes_it_from_nothing_and_again_the_same(data: Path, answerable: Answerable) -> None:
    result = answerable("logs", "rebuild-db")
    assert (result.code, result.err) == (0, "")
    assert "again from 4 records" in result.out
    first = tables(data / FILE)
    assert [row[:2] for row in first["rooms"]] == [("!garden:example.org", "G-7F3K")]
    assert (len(first["cases"]), len(first["credit"])) == (1, 1)
    again = answerable("logs", "rebuild-db", "--json").json
    assert again["records"] == 4
    assert again["taken_over"] is True
    assert tables(data / FILE) == first == tables(Path(again["kept"]))
    assert (data / FILE).stat().st_mode & 0o777 == 0o600


def test_repairs_changes_and_keeps_the_old_database(data: Path, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    sound = tables(data / FILE)
    change(data / FILE, "DELETE FROM cases", "UPDATE credit SET cost = 0")
    wrong = tables(data / FILE)
    kept = Path(answerable("logs", "rebuild-db", "--json").json["kept"])
    assert tables(data / FILE) == sound
    assert tables(kept) == wrong
    assert kept.name.startswith(f"{FILE}.before-rebuild-20")
    assert answerable("logs", "rebuild-db", "--json").json["kept"].endswith("-2")
    assert sorted(path.name for path in data.iterdir() if path.name.startswith((".rebuild", f"{FILE}-"))) == []


def test_keeps_tables_that_the_journal_does_not_hold(data: Path, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    change(
        data / FILE,
        "INSERT INTO meta (key, value) VALUES ('sync_token', 's72')",
        "INSERT INTO outbox (txn, priority, room, action, record, merge, not_before, attempts) "
        "VALUES ('answerable.1.0', 1, '!garden:example.org', '{}', 1, '', 0, 0)",
    )
    before = tables(data / FILE)
    answerable("logs", "rebuild-db")
    after = tables(data / FILE)
    assert ("sync_token", "s72") in after["meta"]
    assert after["outbox"] == before["outbox"]


def test_leaves_unjudged_events_for_the_next_start(data: Path, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    change(data / FILE, "UPDATE meta SET value = '2' WHERE key = 'applied'")
    assert "from 2 records" in answerable("logs", "rebuild-db").out
    after = tables(data / FILE)
    assert ("applied", "2") in after["meta"]
    assert (len(after["rooms"]), len(after["cases"])) == (1, 0)


def test_of_a_file_that_is_not_a_database_says_what_is_lost(data: Path, answerable: Answerable) -> None:
    (data / FILE).write_bytes(b"not a database at all, and long enough to look at" * 100)
    result = answerable("logs", "rebuild-db")
    assert (result.code, result.err) == (0, "")
    assert "could not be read" in result.out
    assert len(tables(data / FILE)["cases"]) == 1


def test_never_runs_during_a_run_of_the_bot(data: Path, answerable: Answerable) -> None:
    with only_instance(data):
        result = answerable("logs", "rebuild-db")
    assert (result.code, result.out) == (1, "")
    assert "Stop it first" in result.err
    assert not (data / FILE).exists()


def test_a_damaged_journal_leaves_the_old_database(data: Path, answerable: Answerable) -> None:
    answerable("logs", "rebuild-db")
    before = (data / FILE).read_bytes()
    (day,) = (data / "records" / "day").glob("*.jsonl")
    day.write_bytes(day.read_bytes().replace(b'"k":"case"', b'"k":case'))
    result = answerable("logs", "rebuild-db")
    assert result.code == 1
    assert "line 3" in result.err
    assert (data / FILE).read_bytes() == before


def test_data_in_the_write_ahead_log_of_a_dead_writer_is_kept(data: Path, answerable: Answerable) -> None:
    """Data that was only in the write-ahead log is in the old database, which is kept, and never in the new one."""
    answerable("logs", "rebuild-db")

    copy = data.parent / "copy"

    async def die() -> None:
        database = await Database.open(DatabasePlace(data))
        async with database.write() as db:
            await db.exec_driver_sql("INSERT INTO meta (key, value) VALUES ('sync_token', 's99')")
        await asyncio.to_thread(shutil.copytree, data, copy)  # the files as after a power cut at this moment
        await database.close()

    asyncio.run(die())
    assert (copy / f"{FILE}-wal").stat().st_size > 0
    shutil.rmtree(data)
    copy.rename(data)
    answerable("logs", "rebuild-db")
    assert ("sync_token", "s99") in tables(data / FILE)["meta"]


def test_the_journal_is_read_up_to_what_was_applied(data: Path) -> None:
    upto = Upto(data / "records", 2, None)
    assert [record.index for record in upto.read()] == [0, 1]
    assert upto.size == 2
    whole = Upto(data / "records", None, None)
    assert ([record.index for record in whole.read()], whole.size) == ([0, 1, 2, 3], 4)


@pytest.mark.usefixtures("data")
class TestComparing:
    """`answerable logs verify --tables`."""

    def test_says_that_the_database_agrees_with_the_records(self, answerable: Answerable) -> None:
        answerable("logs", "rebuild-db")
        result = answerable("logs", "verify", "--tables")
        assert (result.code, result.err) == (0, "")
        assert "The database agrees with the records." in result.out

    def test_finds_a_forged_decision_and_a_charge_that_is_gone(self, data: Path, answerable: Answerable) -> None:
        answerable("logs", "rebuild-db")
        change(data / FILE, "UPDATE cases SET state = 'upheld' WHERE n = 1", "DELETE FROM credit")
        result = answerable("logs", "verify", "--tables")
        assert result.code == 1
        assert "differs from the records in 3 rows" in result.out
        assert "cases: the database has a row that the records do not explain" in result.out
        assert "credit: a row is missing from the database" in result.out
        told = answerable("logs", "verify", "--tables", "--json").json
        assert [(each["table"], each["is_stored"]) for each in told["tables"]] == [
            ("cases", True),
            ("cases", False),
            ("credit", False),
        ]
        assert not list(data.glob(".scratch-*"))

    def test_leaves_the_database_as_it_was(self, data: Path, answerable: Answerable) -> None:
        answerable("logs", "rebuild-db")
        before = tables(data / FILE)
        answerable("logs", "verify", "--tables")
        assert tables(data / FILE) == before
