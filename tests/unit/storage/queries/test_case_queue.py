"""The queue of the console: what each tab and filter shows, page by page, and that an index finds it."""

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import CaseNumber, GroupCode, RoomId, UserId
from storage import queries, schema
from storage.database import sqlite_driver
from storage.queries import Cursor, QueueFilter, QueueRow
from tests.postgres.engines import on_sqlite

ROOM, OTHER = RoomId("!room"), RoomId("!other")
ANNA, BEN, CARL, MAYA = (UserId(f"@{name}:example.org") for name in ("anna", "ben", "carl", "maya"))
MANY = 5_000

CASE: dict[str, Any] = {
    "room": ROOM,
    "subject": CARL,
    "person": CARL,
    "rule": "spam",
    "grade": "minor",
    "decide": "review",
    "manages": 0,
    "state": "open",
    "outcome": "",
    "opened": 1,
    "due": 0,
    "decided": 0,
    "by": "",
    "asked": "managers",
    "claimed": "",
    "lead": 0,
    "appealed": 0,
}


async def add_cases(db: AsyncConnection, *cases: dict[str, Any]) -> None:
    """Add cases, which differ from an open one in these values; the record is ten times the number."""
    await db.execute(insert(schema.cases), [{**CASE, "record": case["n"] * 10, **case} for case in cases])


async def add(db: AsyncConnection, table: Any, *rows: dict[str, Any]) -> None:
    await db.execute(insert(table), [{"record": record, **row} for record, row in enumerate(rows, 1)])


def decided(n: int, by: UserId, at: int, **more: Any) -> dict[str, Any]:
    return {"n": n, "state": "decided", "outcome": "upheld", "by": by, "decided": at, **more}


async def shown(db: AsyncConnection, wanted: QueueFilter) -> list[int]:
    return [row.n for row in (await queries.queue_page(db, wanted, 50)).rows]


async def test_a_row_says_what_a_list_shows(db: AsyncConnection) -> None:
    entered = {"room": ROOM, "code": "G-1111", "purpose": "group", "entered": 1}
    await db.execute(insert(schema.rooms), [entered])
    await add_cases(db, {"n": 7, "due": 90, "claimed": MAYA}, {"n": 8, "lead": 7})
    reports = [{"n": 7, "message": 3, "by": by, "at": 4} for by in (ANNA, ANNA, "", BEN)]
    await add(db, schema.reports, *reports)
    page = await queries.queue_page(db, QueueFilter(accounts=[MAYA]), 5)
    row = QueueRow(
        n=CaseNumber(7),
        record=70,
        room=ROOM,
        code=GroupCode("G-1111"),
        subject=CARL,
        rule="spam",
        grade="minor",
        state="open",
        outcome="",
        asked="managers",
        opened=1,
        due=90,
        decided=0,
        by=UserId(""),
        claimed=MAYA,
        lead=0,
        together=1,
        reports=3,
        is_mine=True,
    )
    assert page == queries.QueuePage((row,), None)
    assert (row.waits, row.is_reported) == (True, True)


async def test_what_waits_comes_by_its_deadline_with_appeals_and_what_has_none_left(db: AsyncConnection) -> None:
    await add_cases(
        db,
        {"n": 1, "due": 50},
        decided(2, MAYA, 10),
        decided(3, MAYA, 10, state="appealed", due=20),
        {"n": 4, "due": 50, "state": "escalated_owner"},
        {"n": 5, "state": "escalated_operator"},
        {"n": 6, "lead": 1},  # it is on the card of case 1
        decided(7, MAYA, 10, lead=1),
        decided(8, MAYA, 10, lead=1, state="appealed", due=60),
        decided(9, MAYA, 10, state="closed"),
    )
    assert await shown(db, QueueFilter()) == [5, 3, 1, 4, 8]
    assert await shown(db, QueueFilter(tab="all")) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


async def test_decided_by_a_reader_comes_newest_first_also_if_an_appeal_reversed_it(db: AsyncConnection) -> None:
    await add_cases(
        db, decided(1, MAYA, 30), decided(2, BEN, 40, state="reversed"), decided(3, BEN, 50), decided(4, ANNA, 60)
    )
    made = [(1, MAYA, 30), (2, MAYA, 20), (2, BEN, 40), (3, BEN, 50)]
    rows = [{"n": n, "by": by, "what": "upheld", "state": "decided", "at": at} for n, by, at in made]
    await add(db, schema.decisions, *rows)
    assert await shown(db, QueueFilter(tab="decided", accounts=[MAYA])) == [2, 1]
    assert await shown(db, QueueFilter(tab="decided", accounts=[ANNA])) == [4]  # a measure that Anna took herself
    assert await shown(db, QueueFilter(tab="decided", accounts=[ANNA, BEN])) == [4, 3, 2]
    assert await shown(db, QueueFilter(tab="decided")) == []
    assert await shown(db, QueueFilter(tab="decided", accounts=[UserId("")])) == []


async def test_mine_is_what_the_reader_claimed_or_is_asked_for_now(db: AsyncConnection) -> None:
    await add_cases(
        db,
        {"n": 1, "claimed": MAYA},
        {"n": 2},  # asked of Maya
        {"n": 3, "claimed": BEN},  # asked of Maya, but Ben has it
        {"n": 4, "asked": "owner"},  # asked of Maya before it went to the owner
        decided(5, BEN, 9, state="appealed", appealed=50),  # asked of Maya before the appeal
        decided(6, BEN, 9),  # asked of Maya, and decided
    )
    asked = [{"n": n, "user": MAYA, "asked": "managers", "at": 40} for n in (2, 3, 4, 5, 6)]
    await add(db, schema.assignments, *asked)
    for tab in ("waiting", "all"):
        assert sorted(await shown(db, QueueFilter(accounts=[MAYA], is_mine=True, tab=tab))) == [1, 2]
    assert await shown(db, QueueFilter(is_mine=True)) == []


MIXED: tuple[dict[str, Any], ...] = (
    {"n": 1, "due": 1},
    {"n": 2, "due": 2, "grade": "severe", "rule": "insults"},
    {"n": 3, "due": 3, "grade": "severe", "state": "overdue", "room": OTHER},
    {"n": 4, "due": 4, "asked": "owner", "state": "escalated_owner"},
)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"grade": "severe"}, [2, 3]),
        ({"rule": "insults"}, [2]),
        ({"state": "overdue"}, [3]),
        ({"asked": "owner"}, [4]),
        ({"room": OTHER}, [3]),
        ({"is_reported": True}, [1, 4]),
        ({"is_reported": True, "grade": "severe"}, []),
        ({"rooms": [ROOM]}, [1, 2, 4]),
        ({"rooms": [ROOM], "room": OTHER}, []),  # a reader asks for a room that they may not see
        ({"rooms": []}, []),
        ({"rooms": None}, [1, 2, 3, 4]),
    ],
)
async def test_each_filter_leaves_out_the_rest(db: AsyncConnection, wanted: dict[str, Any], numbers: list[int]) -> None:
    await add_cases(db, *MIXED)
    await add(db, schema.reports, *({"n": n, "message": 3, "by": ANNA, "at": 4} for n in (1, 1, 4)))
    assert await shown(db, QueueFilter(**wanted)) == numbers
    counts = await queries.queue_counts(db, QueueFilter(**wanted))
    assert counts.fitting == len(numbers)


async def test_counts_say_what_each_choice_would_show(db: AsyncConnection) -> None:
    await add_cases(db, *MIXED, decided(5, MAYA, 9, grade="severe"))
    wanted = QueueFilter(grade="severe", rooms=[ROOM, OTHER])
    counts = await queries.queue_counts(db, wanted)
    assert (counts.whole, counts.fitting) == (4, 2)
    assert counts.of == {
        "grade": {"minor": 2, "severe": 2},
        "rule": {"spam": 1, "insults": 1},
        "state": {"open": 1, "overdue": 1},
        "asked": {"managers": 2},
        "room": {ROOM: 1, OTHER: 1},
        "is_mine": {0: 2},
        "is_reported": {0: 2},
    }
    for facet, found in counts.of.items():
        for value, count in found.items():
            if value:
                assert len(await shown(db, replace(wanted, **{facet: value}))) == count


@pytest.mark.parametrize("tab", ["waiting", "decided", "all"])
async def test_pages_show_each_case_once_though_one_is_decided_meanwhile(db: AsyncConnection, tab: Any) -> None:
    cases = [{"n": n, "due": 5 - n % 3} for n in range(1, 8)]
    if tab == "decided":
        cases = [decided(n, MAYA, 5 - n % 3) for n in range(1, 8)]
    await add_cases(db, *cases)
    wanted = QueueFilter(tab=tab, accounts=[MAYA])
    whole = await shown(db, wanted)
    assert len(whole) == 7
    seen: list[int] = []
    after: Cursor | None = None
    while True:
        page = await queries.queue_page(db, wanted, 2, after)
        seen += [row.n for row in page.rows]
        await db.execute(schema.cases.delete().where(schema.cases.c.n == page.rows[0].n))
        if page.next is None:
            break
        after = page.next
    assert seen == whole


async def test_cases_of_a_person_are_found_across_rooms_that_the_reader_may_see(db: AsyncConnection) -> None:
    await add_cases(
        db,
        {"n": 1, "person": CARL},
        {"n": 2, "room": OTHER},
        decided(3, MAYA, 7),
        {"n": 4, "person": ANNA},
        {"n": 5, "person": ""},
    )
    await db.execute(insert(schema.accounts), [{"user": BEN, "person": CARL}])

    async def of(user: UserId, *rooms: RoomId, **more: Any) -> list[int]:
        return [row.n for row in (await queries.cases_of_person(db, user, rooms or None, 2, **more)).rows]

    assert await of(BEN) == [3, 2]  # another account of the same person
    assert await of(CARL, after=Cursor(0, 2)) == [1]
    assert await of(CARL, ROOM) == [3, 1]
    assert (await queries.cases_of_person(db, CARL, [], 2)).rows == ()
    assert await of(UserId("")) == []  # nobody: those whose person is erased are not one person


@on_sqlite
async def test_an_index_finds_every_page_among_five_thousand_cases(
    db: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [decided(n, BEN if n % 9 else MAYA, n, room=f"!room{n % 7}", person=f"@p{n % 60}") for n in range(1, MANY)]
    await add_cases(db, *cases, *({"n": MANY + n, "due": 900 - n} for n in range(40)))
    rooms = [RoomId("!room1"), RoomId("!room2")]
    statements: list[tuple[str, Any]] = []
    really = sqlite_driver._do

    def noted(connection: sqlite3.Connection, many: bool, sql: str, values: Any) -> Any:
        statements.append((sql, values))
        return really(connection, many, sql, values)

    monkeypatch.setattr(sqlite_driver, "_do", noted)
    for visible in (None, rooms):
        for tab in ("waiting", "decided", "all"):
            wanted = QueueFilter(tab=tab, accounts=[MAYA], rooms=visible)
            page = await queries.queue_page(db, wanted, 20)
            await queries.queue_page(db, wanted, 20, page.next)
            if tab != "all":  # counting all cases reads all of them
                await queries.queue_counts(db, wanted)
        await queries.cases_of_person(db, UserId("@p5"), visible, 20)
    taken = [(sql, given) for sql, given in statements if "FROM cases" in sql]
    assert len(taken) == 18
    for sql, given in taken:
        steps = await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(given))
        plan = [row.detail for row in steps]
        assert [step for step in plan if step.startswith(("SCAN cases", "SCAN others"))] == [], sql
        if "cases.due >=" in sql:
            assert any("cases_waiting" in step for step in plan), plan
