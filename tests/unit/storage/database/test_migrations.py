"""The schema: made at once or by migrations, it is the same; a newer one is refused."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from moderation.model.facts import (
    Appealed,
    CaseAssigned,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    Fact,
    Reported,
    StatementGiven,
)
from moderation.values.durations import DAY_MS
from moderation.values.errors import Invalid
from moderation.values.ids import EventId, PersonId, UserId
from storage.database import schemas as database_schemas
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.database.schemas import alembic_config, schemas
from storage.database.sqlite import migrate, schema_of
from storage.journal.journal import Journal
from storage.journal.record import Draft, Part
from storage.journal.record_keys import PersonKeys
from storage.journal.retention.targets import Targets
from storage.record_mapping import draft_of_fact
from storage.schema import metadata
from tests.unit.storage.older_schema import older_database

_UNIQUE = re.compile(r",UNIQUE\(\w+\)")


def shape(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Return the SQL of every table and index; unique columns apart, since their order means nothing."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    plain = {name: re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.replace('"', "").split())) for name, sql in found}
    return {name: (_UNIQUE.sub("", sql), sorted(_UNIQUE.findall(sql))) for name, sql in plain.items()}


def test_a_new_database_is_the_same_as_one_that_went_through_all_migrations(tmp_path: Path) -> None:
    migrate(tmp_path / "new")
    with older_database(tmp_path / "old", "head"):
        pass
    assert shape(tmp_path / "new") == shape(tmp_path / "old")
    assert schema_of(tmp_path / "new") == schema_of(tmp_path / "old") == schemas()[-1]


def test_there_is_nothing_left_to_migrate(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "head") as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrated_outbox_rows_still_wait(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0011") as connection:
        columns = "txn, priority, action, record, room, not_before, attempts"
        row = f"INSERT INTO outbox ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
        connection.exec_driver_sql(row, ("answerable.1.0", 0, "{}", 1, "!room", 70, 2))
    migrate(tmp_path / FILE)
    found = (
        sqlite3.connect(tmp_path / FILE)
        .execute("SELECT txn, priority, not_before, attempts, queued FROM outbox")
        .fetchall()
    )
    assert found == [("answerable.1.0", 0, 70, 2, 0)]


def test_migration_keeps_notices_of_the_low_credit_pace(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0012") as connection:
        insert = (
            "INSERT INTO sanctions"
            " (record, kind, room, subject, person, at, until, n, basis, rule, by, reason, event, ended, why_ended)"
            " VALUES (?, 'redact', ?, ?, ?, ?, 0, 0, 'rule', ?, '', '', '', 0, '')"
        )
        for record, room, user, rule in [
            (4, "!a", "@anna", "tier_slow"),
            (5, "!a", "@anna", "tier_slow"),
            (6, "!b", "@anna", "tier_slow"),
            (7, "!a", "@ben", "spam"),
            (8, "!a", "", "tier_slow"),
        ]:
            connection.exec_driver_sql(insert, (record, room, user, user, record * 10, rule))
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT room, user, step, record, at FROM pointed ORDER BY record")
    assert found.fetchall() == [("!a", "@anna", "tier_slow", 5, 50), ("!b", "@anna", "tier_slow", 6, 60)]


def insert(connection: Connection, table: str, **values: object) -> None:
    """Insert one row; required columns that are not given are empty."""
    for _, name, kind, required, default, _ in connection.exec_driver_sql(f"PRAGMA table_info({table})"):
        if required and default is None:
            values.setdefault(name, 0 if kind == "INTEGER" else "")
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" for _ in values)
    connection.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))


def test_migration_reads_notices_of_cases_from_the_desk(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0014") as connection:
        insert(connection, "rooms", room="!room", code="G-1", purpose="group", served="-")
        insert(connection, "rooms", room="!desk", code="G-2", purpose="desk", served="G-1")
        insert(connection, "members", room="!desk", user="@there", membership="join")
        insert(connection, "members", room="!desk", user="@gone", membership="leave")
        insert(connection, "cases", n=1, room="!room", card="$card")
        asked = (("@there", "managers"), ("@gone", "managers"), ("@nobody", "managers"), ("@owner", "owner"))
        for record, (user, level) in enumerate(asked):
            insert(connection, "assignments", record=record, n=1, user=user, asked=level)
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT user, told FROM assignments ORDER BY record").fetchall()
    assert found == [("@there", 1), ("@gone", 0), ("@nobody", 0), ("@owner", 1)]


def test_decisions_from_before_they_were_kept_are_read_from_the_records(tmp_path: Path) -> None:
    """It reads decisions that the database has applied, of cases it still has; persons erased since stay unknown."""
    at, anna, ben = 1_795_521_600_000, PersonId("@anna:example.org"), PersonId("@ben:example.org")

    def decision(n: int, by: PersonId, what: str = "upheld", state: str = "decided") -> Draft:
        said: dict[str, int | str] = {"n": n, "what": what, "state": state}
        parts = [Part(person, {"as": who, "mxid": person}) for who, person in (("subject", ben), ("by", by))]
        return Draft("decision", at + n, fields=said, parts=tuple(parts))

    keys = PersonKeys.open(DatabasePlace(tmp_path))
    with Journal.open(tmp_path, "example.org/log", keys, at) as journal:
        decided = [decision(1, anna), decision(2, ben, "dismissed"), decision(7, anna), decision(1, ben, "dismissed")]
        journal.append([*decided, decision(2, anna)])
        fields: dict[str, str | int] = {"parts": 1, "what": "operator"}
        journal.append([Draft("erase", at + 8, fields=fields, parts=(Part(PersonId(""), {"records": "1:2"}),))])
        journal.erase(Targets.parse("1:2"), 6)
        journal.close(at)
    keys.close()
    with older_database(tmp_path / FILE, "0015") as connection:
        for n in (1, 2):
            insert(connection, "cases", n=n)
        insert(connection, "meta", key="applied", value="5")
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM decisions").fetchall()
    assert found == [
        (1, 1, anna, "upheld", "decided", at + 1),
        (2, 2, "", "dismissed", "decided", at + 2),
        (4, 1, ben, "dismissed", "decided", at + 1),
    ]


def test_who_was_spared_by_a_command_stays_spared(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0043") as connection:
        insert(connection, "list_spared", record=7, list="cme", room="!room", reach="club", person="@anna", at=3)
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT record, list, room, reach, n, person, at FROM list_spared")
    assert found.fetchall() == [(7, "cme", "!room", "club", 0, "@anna", 3)]


def test_events_delivered_for_a_room_that_is_behind_keep_their_order(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0050") as connection:
        for event in ("$b", "$c", "$a"):
            insert(connection, "gap_events", event=event, room="!room", raw="{}")
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT event FROM gap_events ORDER BY n")
    assert found.fetchall() == [("$b",), ("$c",), ("$a",)]


def test_a_migrated_database_gives_back_the_room_of_deleted_rows(tmp_path: Path) -> None:
    with older_database(tmp_path / "old", "0050"):
        pass
    migrate(tmp_path / "old")
    for path in (tmp_path / "old", tmp_path / "new"):
        migrate(path)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # a little at a time


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    migrate(tmp_path / FILE)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("INSERT INTO meta VALUES ('sync_token', 's1')")
    migrate(tmp_path / FILE)
    assert sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM meta").fetchall() == [("sync_token", "s1")]


def test_the_migrations_are_one_line_numbered_in_order() -> None:
    revisions = [revision.revision for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    assert revisions[::-1] == [f"{number:04}" for number in range(10, 10 + len(revisions))]


def with_schema(path: Path, revision: str) -> None:
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


async def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with_schema(tmp_path / FILE, "9999")
    for read_only in (True, False):
        with pytest.raises(Invalid, match="newer version"):
            await Database.open(DatabasePlace(tmp_path), read_only=read_only)
    assert sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM alembic_version").fetchall() == [("9999",)]


def test_a_schema_too_old_to_migrate_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    with_schema(tmp_path / FILE, "0009")
    with pytest.raises(Invalid, match="answerable logs rebuild-db"):
        migrate(tmp_path / FILE)
    assert schema_of(tmp_path / FILE) == "0009"


async def test_an_older_schema_is_not_read_but_migrated_by_the_bot(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()  # what a crash right after creating the file leaves
    with pytest.raises(Invalid, match="older schema"):
        await Database.open(DatabasePlace(tmp_path), read_only=True)
    await (await Database.open(DatabasePlace(tmp_path))).close()
    await (await Database.open(DatabasePlace(tmp_path), read_only=True)).close()


def test_each_migrations_file_begins_with_its_schema_and_the_last_is_the_newest() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert schemas() == revisions[::-1]
    assert schemas()[-1] == script.get_current_head()


def test_a_program_whose_files_were_replaced_keeps_to_the_schemas_that_it_knew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby would otherwise migrate the tables to a schema that its code, loaded before, cannot use."""
    monkeypatch.setattr(database_schemas, "_MIGRATIONS", tmp_path)
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_first.py").touch()
    assert schemas() == ["0001"]
    (tmp_path / "versions" / "0002_second.py").touch()
    assert schemas() == ["0001"]


def test_a_command_that_reads_does_not_load_what_only_writing_needs(tmp_path: Path) -> None:
    """Alembic, and the list of suffixes with its downloader, take longer to load than everything else."""
    look = "import asyncio, sys; from pathlib import Path; import storage.queries"
    look += "; from storage.database.database import Database; from storage.database.place import DatabasePlace"
    look += (
        "; import moderation.policy; db = asyncio.run(Database.open(DatabasePlace(Path(sys.argv[1])), read_only=True))"
    )
    look += "; print([name for name in ('alembic', 'tldextract') if name in sys.modules])"
    migrate(tmp_path / FILE)
    ran = subprocess.run([sys.executable, "-c", look, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_steps_of_files_from_before_there_were_keys_are_by_users_of_the_machine(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0010") as connection:
        row = (12, 10, "approved", 70, "olga", "I read it", "", "-")
        connection.exec_driver_sql("INSERT INTO dossier_steps VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM dossier_steps").fetchall()
    assert found == [(*row, "user", "-", -1)]


def test_migration_erases_leftovers_of_erased_people_in_cases(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0023") as connection:
        insert(connection, "cases", n=1, appeal="a toy", appellant="")
        insert(connection, "cases", n=2, appeal="why me", appellant="@anna")
        insert(connection, "evidence", record=3, n=1, event="")
        insert(connection, "evidence", record=4, n=2, event="$said")
    migrate(tmp_path / FILE)
    database = sqlite3.connect(tmp_path / FILE)
    assert database.execute("SELECT n, appeal FROM cases ORDER BY n").fetchall() == [(1, ""), (2, "why me")]
    assert database.execute("SELECT n, event FROM evidence").fetchall() == [(2, "$said")]


def test_each_group_of_an_older_database_keeps_its_desk(tmp_path: Path) -> None:
    with older_database(tmp_path / FILE, "0027") as connection:
        insert = (
            "INSERT INTO rooms (room, code, purpose, served, condition, entered,"
            " direct_with, invited_by, language, via, name, notice, created, levels)"
            " VALUES (?, ?, ?, ?, ?, ?, '', '', '', '', '', '', '', '')"
        )
        for row in [
            ("!garden", "G-1111", "group", "-", "protected", 1),
            ("!gone", "G-2222", "desk", "G-1111", "left", 2),
            ("!desk", "G-3333", "desk", "G-1111", "protected", 3),
            ("!pond", "G-4444", "group", "-", "joining", 4),
        ]:
            connection.exec_driver_sql(insert, row)
    migrate(tmp_path / FILE)
    database = sqlite3.connect(tmp_path / FILE)
    desks = database.execute("SELECT room, desk FROM rooms ORDER BY entered").fetchall()
    assert desks == [("!garden", "G-3333"), ("!gone", ""), ("!desk", ""), ("!pond", "")]
    served = database.execute("SELECT desk, served, record, at FROM desk_groups ORDER BY record").fetchall()
    assert served == [("G-2222", "G-1111", 2, 0), ("G-3333", "G-1111", 3, 0)]


def test_the_time_lines_of_earlier_cases_are_read_from_the_records(tmp_path: Path) -> None:
    """They are what a rebuilt database has; who reported is not in them, nor what is erased or of a purged case."""
    at, anna, ben = 1_795_521_600_000, UserId("@anna:example.org"), UserId("@ben:example.org")
    about: dict[str, Any] = {"n": 1, "subject": ben}
    opened = CaseOpened(
        **about, rule="r", grade="minor", decide="manager", state="open", due=at + 9, event=EventId("$a")
    )
    facts: list[Fact] = [
        opened,
        CaseAssigned(n=1, subject=anna, due=at + 9),
        Reported(**about, by=anna, reason="it hurts", channel="mail"),
        CaseMoved(n=1, step="acknowledged", state="acknowledged", due=at + 9, by=anna),
        CaseGrew(**about, event=EventId("$b")),
        CaseMoved(n=1, step="escalated", state="escalated_owner", asked="owner", due=at + 9),
        CaseClaimed(n=1, by=anna),
        CaseNoted(n=1, by=anna, words="hm"),
        CaseDecided(**about, what="upheld", by=anna, reason="so"),
        StatementGiven(**about, statement="{}"),
        CaseCommented(**about, words="but"),
        Appealed(**about, due=at + 9, words="why"),
        Appealed(n=1, subject=anna, due=at + 9, report=1, words="still"),
        CaseDecided(**about, what="dismissed", state="reversed", by=UserId("@cleo:example.org")),
        replace(opened, n=7),  # purged since
        CaseDecided(n=1, what="upheld", by=anna),  # not applied yet
    ]
    keys = PersonKeys.open(DatabasePlace(tmp_path))
    with Journal.open(tmp_path, "example.org/log", keys, at) as journal:
        journal.append([draft_of_fact(fact, at, None, PersonId) for fact in facts])
        journal.close(at)
    keys.close()
    with older_database(tmp_path / FILE, "0029") as connection:
        insert(connection, "cases", n=1)
        insert(connection, "meta", key="applied", value=str(len(facts)))
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM case_steps ORDER BY record").fetchall()
    due, none = at + 9, ("", "", 0)
    steps: list[tuple[object, ...]] = [
        (1, at, "opened", "", "", ben, "open", "managers", due),
        (1, at, "assigned", "", "", anna, "", "managers", due),
        (1, at, "reported", "mail", "", ben, *none),
        (1, at, "acknowledged", "", anna, "", "acknowledged", "managers", due),
        (1, at, "joined", "", "", ben, *none),
        (1, at, "escalated", "", "", "", "escalated_owner", "owner", due),
        (1, at, "claimed", "", anna, "", *none),
        (1, at, "noted", "", anna, "", *none),
        (1, at, "decided", "upheld", anna, ben, "decided", "", 0),
        (1, at, "stated", "", "", ben, *none),
        (1, at, "commented", "", ben, "", *none),
        (1, at, "lodged", "", ben, "", "appealed", "managers", due),
        (1, at, "lodged", "report", "", "", "appealed", "managers", due),
        (1, at, "decided", "dismissed", "@cleo:example.org", ben, "reversed", "", 0),
    ]
    assert found == [(record, *row) for record, row in enumerate(steps, 1)]


def test_the_figures_of_each_day_are_read_from_the_records(tmp_path: Path) -> None:
    """Erased messages count, messages in rooms of the bot do not."""
    at, anna = 1_795_521_600_000, PersonId("@anna:example.org")
    day = at // DAY_MS

    def said(kind: str, at_ms: int, code: str = "G-7F3K") -> Draft:
        fields: dict[str, int | str] = {"rule": "r", "class": "minor", "where": "body"} if kind == "finding" else {}
        return Draft(kind, at_ms, group=code, fields=fields, parts=(Part(anna, {"mxid": anna}),))

    keys = PersonKeys.open(DatabasePlace(tmp_path))
    with Journal.open(tmp_path, "example.org/log", keys, at) as journal:
        journal.append([said("message", at), said("edit", at), said("message", at, "G-5K9K"), said("finding", at)])
        journal.append([said("message", at), said("message", at + DAY_MS)])
        fields: dict[str, str | int] = {"parts": 1, "what": "operator"}
        journal.append([Draft("erase", at + DAY_MS, fields=fields, parts=(Part(PersonId(""), {"records": "1"}),))])
        journal.erase(Targets.parse("1"), 7)
        journal.append([said("message", at + DAY_MS)])  # not applied yet
        journal.close(at + DAY_MS)
    keys.close()
    with older_database(tmp_path / FILE, "0030") as connection:
        insert(connection, "rooms", room="!room", code="G-7F3K", purpose="group")
        insert(connection, "rooms", room="!desk", code="G-5K9K", purpose="desk")
        insert(connection, "meta", key="applied", value="8")
    migrate(tmp_path / FILE)
    found = sqlite3.connect(tmp_path / FILE).execute("SELECT * FROM daily ORDER BY record").fetchall()
    assert found == [
        ("!room", day, "message", 2, 1),
        ("!room", day, "finding", 1, 4),
        ("!room", day + 1, "message", 1, 6),
    ]
