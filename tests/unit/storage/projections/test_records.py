"""The erasing of single records and the purge in the tables; no table with rows about people is forgotten."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Integer, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    CaseOpened,
    Fact,
    ListChosen,
    ListMatched,
    ListPreviewed,
    ListPublished,
    ListSpared,
    PartsErased,
    RecordsPurged,
    SanctionEnded,
    SanctionStarted,
    ServerListed,
    Swept,
)
from moderation.values.ids import UserId
from storage import queries, schema
from storage.projections import project
from storage.schema import columns
from tests.unit.moderation.builders import ANNA, MARK, NOON, ROOM

RECORD, LATER = 10, 99
ROWS = [table for table in schema.metadata.sorted_tables if table.info == columns.ROWS and "record" in table.c]
# Rows that stay as long as they hold: people end them, or the person is erased.
HOLDING = (schema.duty_accepted, schema.pinned_keys, schema.rosters, schema.list_spared)
WITHOUT_PEOPLE = (schema.questions,)  # which go with their case
OVER = {"step": "withdrawn", "until": NOON - 1}

CASE = CaseOpened(room=ROOM, n=1, rule="r", grade="minor", decide="auto", state="decided", due=0, subject=ANNA)
MATCHED = ListMatched(room=ROOM, step="apply", n=1, list="cme", of="user", advice="ban", key="k", subject=ANNA)
SPARED = ListSpared(room=ROOM, list="cme", subject=ANNA, by=MARK)
PUBLISHED = ListPublished(
    room=ROOM, step="published", n=1, list="ours", list_room="!ours", key="k", subject=ANNA, by=MARK
)
WITHDRAWN = replace(PUBLISHED, step="withdrawn", by=UserId(""))
BAN = SanctionStarted(room=ROOM, kind="ban", n=1, basis="list", subject=ANNA)
ERASED = PartsErased(parts=1, what="operator", records=str(RECORD))
PURGED = RecordsPurged(below=LATER, what="schedule")


async def apply(db: AsyncConnection, *facts: Fact, first: int = RECORD) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, NOON)


async def count(db: AsyncConnection, table: Table) -> int:
    return len((await db.execute(select(table))).all())


async def fill(db: AsyncConnection, table: Table) -> None:
    """Write a row about somebody, over by now, of the record and of a case that is over."""
    await apply(db, CASE)
    said: dict[str, Any] = {"record": RECORD, "n": 1, **OVER}
    row = {c.name: said.get(c.name, 0 if isinstance(c.type, Integer) else str(ANNA)) for c in table.c}
    await db.execute(insert(table).values(**row))


@pytest.mark.parametrize("table", [each for each in ROWS if each not in WITHOUT_PEOPLE], ids=str)
async def test_a_row_about_somebody_goes_when_its_record_is_erased(db: AsyncConnection, table: Table) -> None:
    await fill(db, table)
    await apply(db, ERASED, first=LATER)
    assert not await count(db, table), f"let {table} follow `PartsErased` in storage/projections/records.py"


@pytest.mark.parametrize("table", [each for each in ROWS if each not in HOLDING], ids=str)
async def test_a_row_about_somebody_goes_with_the_purge_when_it_is_over(db: AsyncConnection, table: Table) -> None:
    await fill(db, table)
    await apply(db, PURGED, first=LATER)
    assert not await count(db, table), f"let {table} follow `RecordsPurged` in storage/projections/records.py"


@pytest.mark.parametrize("fact", [MATCHED, PUBLISHED, WITHDRAWN, SPARED], ids=lambda fact: f"{fact.KIND} {fact.step}")
async def test_an_erased_record_leaves_what_a_rebuilt_table_has(db: AsyncConnection, fact: Fact) -> None:
    await apply(db, fact, ERASED)
    tables = (schema.list_matches, schema.published_entries, schema.list_spared)
    assert [await count(db, each) for each in tables] == [0, 0, 0]


async def test_a_server_stays_spared_without_the_person_who_said_so(db: AsyncConnection) -> None:
    spared = ListSpared(room=ROOM, list="cme", server="bad.example", by=MARK)
    await apply(db, spared, ERASED)
    assert [row.server for row in await db.execute(select(schema.list_spared))] == ["bad.example"]


async def test_what_a_list_said_of_a_server_goes_with_its_case(db: AsyncConnection) -> None:
    listed = ServerListed(room=ROOM, step="apply", n=1, list="cme", advice="ban", people=1, server="bad.example")
    denied = SanctionStarted(room=ROOM, kind="server", n=1, basis="list", server="bad.example")
    await apply(db, CASE, listed, denied)
    assert await queries.records_of_case(db, 1) == [10, 12, 11]
    await apply(db, PURGED, first=LATER)
    tables = (schema.cases, schema.listed_servers, schema.sanctions)
    assert [await count(db, each) for each in tables] == [1, 1, 1]
    ended = SanctionEnded(room=ROOM, start=12, kind="server", why="list", n=1, server="bad.example")
    await apply(db, ended, PURGED, first=20)
    assert [await count(db, each) for each in tables] == [0, 0, 0]


async def test_a_list_stays_watched_without_the_person_who_chose_it(db: AsyncConnection) -> None:
    chosen = ListChosen(room=ROOM, step="watched", list="cme", list_room="!list", by=MARK)
    await apply(db, chosen, ERASED)
    assert [(row.list_room, row.by) for row in await db.execute(select(schema.chosen_lists))] == [("!list", "")]


async def test_a_room_entered_to_show_a_list_is_known_without_the_person_who_asked(db: AsyncConnection) -> None:
    asked = ListPreviewed(room=ROOM, step="asked", number=RECORD, by=MARK)
    entered = ListPreviewed(room=ROOM, step="entered", number=RECORD, list_room="!list")
    await apply(db, asked, entered)
    await apply(db, PartsErased(parts=2, what="operator", records=f"{RECORD}-{RECORD + 1}"), first=LATER)
    [row] = await db.execute(select(schema.list_previews))
    assert (row.by, row.list_room, row.entered) == ("", "!list", 1)
    await apply(db, PURGED, first=LATER)
    assert await count(db, schema.list_previews) == 0


async def test_what_holds_stays_until_it_is_ended(db: AsyncConnection) -> None:
    retention = PartsErased(parts=9, what="retention", records="10-19")
    tables = (schema.cases, schema.published_entries, schema.list_spared)
    await apply(db, CASE, MATCHED, PUBLISHED, SPARED)
    await apply(db, PURGED, retention, first=LATER)
    assert [await count(db, each) for each in tables] == [1, 1, 1]
    await apply(db, WITHDRAWN, PURGED, first=20)
    assert [await count(db, each) for each in tables] == [0, 0, 1]


async def test_what_a_list_said_is_kept_as_long_as_the_case(db: AsyncConnection) -> None:
    await apply(db, CASE, MATCHED, PUBLISHED)
    assert await queries.records_of_case(db, 1) == [10, 11, 12]


async def test_a_case_goes_with_what_happened_once_and_stays_with_what_lasts(db: AsyncConnection) -> None:
    once = [replace(BAN, kind=kind) for kind in ("redact", "kick", "warn")]
    swept = Swept(room=ROOM, n=1, until=NOON, oldest=4, count=1, subject=ANNA, by=MARK)
    await apply(db, CASE, MATCHED, BAN, *once, swept)
    await apply(db, PURGED, first=LATER)
    tables = (schema.cases, schema.list_matches, schema.sanctions)
    assert [await count(db, each) for each in tables] == [1, 1, 5]
    ended = SanctionEnded(room=ROOM, start=12, kind="ban", why="list", n=1, subject=ANNA)
    await apply(db, ended, PURGED, first=20)
    assert [await count(db, each) for each in tables] == [0, 0, 0]


async def test_what_happened_once_without_a_case_goes_with_its_record(db: AsyncConnection) -> None:
    quiet = SanctionStarted(room=ROOM, kind="redact", basis="rule", rule="tier_slow", subject=ANNA)
    await apply(db, quiet)
    await apply(db, quiet, PURGED, first=LATER)
    assert await count(db, schema.sanctions) == 1


async def test_what_a_list_said_later_of_a_purged_case_stays_as_its_record_does(db: AsyncConnection) -> None:
    await apply(db, CASE)
    await apply(db, MATCHED, PURGED, first=LATER)
    assert [await count(db, each) for each in (schema.cases, schema.list_matches)] == [0, 1]
