"""Figures of a day: what is counted, and that they are found without reading the others."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import RecordsPurged, RoomEntered
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import queries
from storage.projections import DailyCounts, project, set_all_meta
from tests.postgres.engines import on_sqlite
from tests.unit.storage.new_tables import NewTables

ROOM, DIRECT, OTHER, NEW = RoomId("!room"), RoomId("!direct"), RoomId("!other"), RoomId("!new")
CODES = {ROOM: GroupCode("G-1111"), DIRECT: GroupCode("G-2222"), OTHER: GroupCode("G-3333")}


@pytest.fixture
async def db(new_tables: NewTables) -> AsyncIterator[AsyncConnection]:
    async with new_tables() as db:
        for index, room in enumerate(CODES):
            await enter(db, index, room, CODES[room])
        yield db


async def enter(db: AsyncConnection, index: int, room: RoomId, code: GroupCode) -> None:
    purpose = "direct" if room == DIRECT else "group"
    fact = RoomEntered(code=code, purpose=purpose, room_id=room, subject=UserId("@anna"))  # type: ignore[arg-type]
    await project(fact, db, index, 0)


async def count(db: AsyncConnection, *records: tuple[int, str, RoomId, int]) -> None:
    """Count records, each with its index, kind, room and day, in one transaction."""
    counts = DailyCounts()
    for index, kind, room, day in records:
        counts.add(kind, CODES[room], day * DAY_MS + 5, index)
    await set_all_meta(db, {"applied": "1"}, counts.statements())


async def test_records_are_counted_by_room_day_and_kind(db: AsyncConnection) -> None:
    await count(db, (10, "message", ROOM, 7), (11, "message", ROOM, 7), (12, "finding", ROOM, 7))
    await count(db, (13, "message", ROOM, 7), (14, "message", OTHER, 7), (15, "decision", OTHER, 8))
    await count(db, (16, "join", ROOM, 7), (17, "message", DIRECT, 7))  # neither is counted
    DailyCounts().add("message", None, 0, 18)
    whole = {(7, "message"): 4, (7, "finding"): 1, (8, "decision"): 1}
    assert await queries.daily_counts(db, 7, 9) == whole
    assert await queries.daily_counts(db, 8, 9) == {(8, "decision"): 1}
    assert await queries.daily_counts(db, 0, 8, [ROOM]) == {(7, "message"): 3, (7, "finding"): 1}
    assert await queries.daily_counts(db, 0, 9, []) == {}


async def test_figures_move_with_an_upgraded_room_and_go_with_their_records(db: AsyncConnection) -> None:
    await count(db, (10, "message", ROOM, 7), (20, "message", ROOM, 8))
    await enter(db, 21, NEW, CODES[ROOM])
    await count(db, (22, "message", ROOM, 8))  # recorded under the same code
    assert await queries.daily_counts(db, 0, 9, [NEW]) == {(7, "message"): 1, (8, "message"): 2}
    await project(RecordsPurged(below=20, what="schedule"), db, 30, 0)
    assert await queries.daily_counts(db, 0, 9) == {(8, "message"): 2}


@on_sqlite
async def test_an_index_finds_them(db: AsyncConnection) -> None:
    of_all = "SELECT sum(count) FROM daily WHERE day >= 7 AND day < 9 GROUP BY day, kind"
    plan = [row.detail for row in await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {of_all}")]
    assert "SEARCH daily USING COVERING INDEX daily_by_day (day>? AND day<?)" in plan
