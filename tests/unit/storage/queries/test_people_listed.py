"""People as the console lists them, their groups, and who looked at them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import queries, schema
from storage.queries import FoundPerson, FoundRoom, ReadingOf, RoomOfPerson
from storage.queries.people import _KNOWING
from tests.postgres.engines import on_sqlite
from tests.unit.storage.new_tables import NewTables

from .test_case_queue import ANNA, BEN, CARL, OTHER, ROOM, add, add_cases, decided

DESK = RoomId("!desk")


@pytest.fixture
async def db(new_tables: NewTables) -> AsyncIterator[AsyncConnection]:
    async with new_tables() as db:
        groups: list[dict[str, Any]] = [
            {
                "room": ROOM,
                "code": "G-1111",
                "purpose": "group",
                "condition": "protected",
                "name": "Garden",
                "entered": 1,
            },
            {"room": OTHER, "code": "G-2222", "purpose": "group", "condition": "left", "name": "", "entered": 2},
            {"room": DESK, "code": "G-3333", "purpose": "desk", "condition": "protected", "name": "", "entered": 3},
        ]
        await db.execute(insert(schema.rooms), groups)
        await db.execute(
            insert(schema.members),
            [
                member(ROOM, ANNA, "Änne", role="owner"),
                member(OTHER, ANNA, "Änne", role="manager"),
                member(DESK, ANNA, "Änne"),
                member(ROOM, CARL, "Carl", since=5),
                member(OTHER, CARL, "Charlie", membership="leave"),
                member(OTHER, BEN, "100%"),
            ],
        )
        yield db


def member(room: RoomId, user: UserId, name: str, **more: Any) -> dict[str, Any]:
    row = {"room": room, "user": user, "display_name": name, "membership": "join", "role": "member", "since": 0}
    return {**row, **more}


async def test_people_are_found_by_their_id_or_name_in_the_rooms_that_a_reader_may_see(db: AsyncConnection) -> None:
    await add_cases(db, {"n": 1}, {"n": 2, "room": OTHER}, decided(3, BEN, 9))
    found = await queries.people_found(db, None, "", 10)
    assert found == [
        FoundPerson(ANNA, "Änne", 2, 2, 0),
        FoundPerson(BEN, "100%", 1, 0, 0),
        FoundPerson(CARL, "Carl", 1, 0, 2),
    ]
    here = await queries.people_found(db, [ROOM], "", 10)
    assert here == [FoundPerson(ANNA, "Änne", 1, 1, 0), FoundPerson(CARL, "Carl", 1, 0, 1)]
    assert [each.user for each in await queries.people_found(db, None, "CARL", 10)] == [CARL]
    assert [each.user for each in await queries.people_found(db, None, "0%", 10)] == [BEN]
    assert await queries.people_found(db, [ROOM], "charlie", 10) == []
    assert await queries.people_found(db, [], "", 10) == []


async def test_a_page_of_people_begins_behind_the_last_one(db: AsyncConnection) -> None:
    assert [each.user for each in await queries.people_found(db, None, "", 1)] == [ANNA]
    assert [each.user for each in await queries.people_found(db, None, "", 5, after=ANNA)] == [BEN, CARL]


async def test_the_groups_of_a_person_are_those_that_a_reader_may_see(db: AsyncConnection) -> None:
    garden = RoomOfPerson(ROOM, "", GroupCode("G-1111"), "Garden", "protected", "join", "member", 5)
    other = RoomOfPerson(OTHER, "", GroupCode("G-2222"), "", "left", "leave", "member", 0)
    assert await queries.rooms_of_person(db, [CARL], None) == [garden, other]
    assert await queries.rooms_of_person(db, [CARL], [ROOM]) == [garden]
    assert [each.role for each in await queries.rooms_of_person(db, [CARL, ANNA], [ROOM])] == ["owner"]


async def test_looks_at_a_person_are_listed_newest_first(db: AsyncConnection) -> None:
    def look(subject: UserId, day: int, **who: str) -> dict[str, Any]:
        return {"note": "-", "what": "credit", "subject": subject, "by": "", "reader": "", "day": day, **who}

    await add(db, schema.readings, look(CARL, 3, reader="root"), look(CARL, 9, by=ANNA), look(BEN, 9), look(CARL, 1))
    found = await queries.readings_of(db, [CARL], 3 * DAY_MS, 10)
    assert found == (ReadingOf(2, "credit", ANNA, "", 9), ReadingOf(1, "credit", UserId(""), "root", 3))
    assert len(await queries.readings_of(db, [CARL], 0, 1)) == 1


async def test_a_room_knows_who_is_there_or_was_active_there_lately(db: AsyncConnection) -> None:
    said = {"event": "$1", "room": OTHER, "sender": CARL, "kind": "message", "at": 50}
    await add(db, schema.events, said)
    assert await queries.rooms_knowing(db, CARL, [ROOM, OTHER], 50) == {ROOM, OTHER}
    assert await queries.rooms_knowing(db, CARL, [ROOM, OTHER], 51) == {ROOM}
    assert await queries.rooms_knowing(db, CARL, [OTHER], 51) == frozenset()


async def test_rooms_are_found_by_name_or_code_among_those_that_a_reader_may_see(db: AsyncConnection) -> None:
    await add_cases(db, {"n": 1}, decided(2, BEN, 9))
    garden = FoundRoom(ROOM, GroupCode("G-1111"), "Garden", "protected", 2, 1)
    other = FoundRoom(OTHER, GroupCode("G-2222"), "", "left", 2, 0)
    assert await queries.rooms_found(db, None, "", 10) == [garden, other]
    assert await queries.rooms_found(db, [OTHER], "", 10) == [other]
    assert await queries.rooms_found(db, None, "gard", 10) == [garden]
    assert await queries.rooms_found(db, None, "g-2222", 10) == [other]
    assert await queries.rooms_found(db, None, "", 10, after="G-1111") == [other]
    assert await queries.role_counts(db, ROOM) == {"owner": 1, "member": 1}


@on_sqlite
async def test_an_index_finds_who_was_active(db: AsyncConnection) -> None:
    sql = str(_KNOWING.compile(dialect=sqlite.dialect()))
    plan = [
        row.detail
        for row in await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]", CARL, "join", CARL, 0, CARL, 0))
    ]
    assert [step for step in plan if step.startswith(("SCAN events", "SCAN spoke"))] == []
    assert any("events_by_sender (room=? AND sender=? AND at>?)" in step for step in plan), plan
