"""Events around one: found by an index, however many a room has."""

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId, UserId
from storage import queries, schema
from storage.projections import POSTED
from storage.projections.common import MANY
from tests.postgres.engines import on_sqlite
from tests.unit.storage.new_tables import NewTables

ROOM, BOT = RoomId("!room"), UserId("@bot")


async def fill(db: AsyncConnection) -> None:
    """Write 60 messages of the room, each third by the bot, and two redactions, between those of another room."""
    for record in range(120):
        room, sender = (ROOM, "@bot" if record % 3 == 0 else "@anna") if record % 2 else ("!other", "@ben")
        kind = "redact" if record in (51, 81) else POSTED
        row = {"record": record, "event": f"$e{record}", "room": room, "sender": sender, "kind": kind, "at": record}
        await db.execute(insert(schema.events).values(row))


async def test_messages_around_one_are_those_of_people_in_its_room(new_tables: NewTables) -> None:
    async with new_tables() as db:
        await fill(db)
        assert await queries.messages_around(db, ROOM, 53, BOT, 2) == [47, 49, 53, 55, 59]
        assert await queries.redactions_since(db, ROOM, [51]) == [81]
        assert await queries.recent_messages(db, ROOM, BOT, 2) == [119, 115]


async def test_a_message_that_its_author_took_back_is_found_after_whatever_others_took_back(
    new_tables: NewTables,
) -> None:
    async with new_tables() as db:
        for record in range(MANY + 10):
            sender, kind = ("@ben", "redact") if record > 1 else ("@anna", POSTED)
            sender = "@anna" if record == MANY + 8 else sender
            row = {"record": record, "event": f"$e{record}", "room": ROOM, "sender": sender, "kind": kind, "at": record}
            await db.execute(insert(schema.events).values(row))
        found = await queries.redactions_since(db, ROOM, [1])
        assert found == [*range(2, MANY + 2), MANY + 8]


async def test_redactions_are_those_after_each_message_not_after_the_first_alone(new_tables: NewTables) -> None:
    async with new_tables() as db:
        for record in range(MANY + 10):
            kind = POSTED if record in (0, MANY + 4) else "redact"
            row = {"record": record, "event": f"$e{record}", "room": ROOM, "sender": "@a", "kind": kind, "at": record}
            await db.execute(insert(schema.events).values(row | ({} if record else {"sender": "@ben"})))
        found = await queries.redactions_since(db, ROOM, [0, MANY + 4])
        assert set(range(MANY + 5, MANY + 10)) < set(found)


@on_sqlite
@pytest.mark.parametrize("most", [2, 20])
async def test_they_are_found_without_sorting_the_events_of_the_room(new_tables: NewTables, most: int) -> None:
    async with new_tables() as db:
        await fill(db)
        statements: list[str] = []
        connection = (await db.get_raw_connection()).driver_connection
        assert connection is not None
        await connection.set_trace_callback(statements.append)
        await queries.messages_around(db, ROOM, 53, BOT, most)
        await queries.redactions_since(db, ROOM, [51])
        await queries.recent_messages(db, ROOM, BOT, most)
        await connection.set_trace_callback(None)
        taken = [sql for sql in statements if "FROM events" in sql]
        assert len(taken) == 5
        for sql in taken:
            steps = await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row.detail for row in steps]
            assert [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN")] == [], sql
