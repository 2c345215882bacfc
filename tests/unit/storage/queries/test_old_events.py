"""Events that leave their table: what is asked of many people and messages is answered as before."""

from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import CaseGrew, CaseOpened, PartsErased, RecordsPurged
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from storage import queries, schema
from storage.projections import (
    MESSAGE,
    POSTED,
    UNREAD,
    LeftEvents,
    digest_of,
    events_left,
    let_events_leave,
    project,
)
from storage.projections.erase_person import erase_from_tables
from tests.postgres.engines import on_sqlite
from tests.unit.storage.new_tables import NewTables

ROOM, OTHER = RoomId("!room:example.org"), RoomId("!other:example.org")
BOT, ANNA, BEN, CARL = (UserId(f"@{name}:example.org") for name in ("bot", "anna", "ben", "carl"))
EVERYBODY = (BOT, ANNA, BEN, CARL)
OLD = 100  # the first record that is not old
# The kind of each old event, by its record; others were posted.
KINDS = {3: "join", 7: "redact", 11: UNREAD, 12: MESSAGE, 13: "edit", 14: "state"}
REMOVED = 21  # by a measure
SWEPT = range(30, 40)  # those of Ben are covered by a sweep
EVIDENCE = 50


@pytest.fixture
async def db(new_tables: NewTables) -> AsyncIterator[AsyncConnection]:
    async with new_tables() as connection:
        await fill(connection)
        yield connection


def sender_of(record: int) -> UserId:
    """Return who sent an event: the bot each fifth, Carl a single old one."""
    return CARL if record == 12 else BOT if record % 5 == 0 and record != EVIDENCE else (ANNA, BEN)[record % 2]


def room_of(record: int) -> RoomId:
    return OTHER if record % 7 == 0 and record != 7 else ROOM


async def fill(db: AsyncConnection) -> None:
    """Write old events and as many new ones, measures against some, and a case about one."""
    for record in range(1, 2 * OLD):
        await db.execute(
            insert(schema.events).values(
                record=record,
                event=f"${record}",
                room=room_of(record),
                sender=sender_of(record),
                kind=KINDS.get(record, POSTED),
                at=record * 1000,
            )
        )
    measure = {"room": ROOM, "subject": BEN, "person": BEN, "n": 0, "basis": "rule", "rule": "r", "until": 0, "at": 1}
    await db.execute(insert(schema.sanctions).values(record=300, kind="redact", event=f"${REMOVED}", **measure))
    swept = {"oldest": SWEPT.start, "kind": "sweep", **measure}
    await db.execute(insert(schema.sanctions).values(record=SWEPT.stop, **swept))
    await project(case(EVIDENCE), db, 301, 1)


def case(message: int, n: int = 1) -> CaseOpened:
    """Return a case about a message."""
    return CaseOpened(
        room=ROOM,
        n=CaseNumber(n),
        rule="r",
        grade="minor",
        decide="manager",
        state="open",
        due=0,
        subject=sender_of(message),
        event=EventId(f"${message}"),
        message=message,
        on=message,
    )


async def leave(db: AsyncConnection, most: int, below: int = OLD) -> int:
    """Let the events before `below` leave, looking at `most` at once. Return how many portions that took."""
    start, portions = 0, 0
    while start < below:
        portion = await queries.events_leaving(db, start, below, BOT, most)
        await let_events_leave(db, portion)
        start, portions = portion.stop, portions + 1
    return portions


async def asked(db: AsyncConnection) -> dict[str, object]:
    """Return the answers to everything that is asked of old events without the log."""
    found: dict[str, object] = {
        "known": sorted(await queries.known_events(db, [f"${n}" for n in range(-5, 2 * OLD + 5)])),
        "unread": await queries.unread_events(db, 10),
        "everybody": sorted(await queries.everybody(db)),
        "redactions": await queries.redactions_since(db, ROOM, [1]),
        "who": sorted(await queries.who_stands(db, ROOM, EVERYBODY)),
        "case": await queries.case_view(db, 1),
        "evidence": (await queries.event_row(db, EventId(f"${EVIDENCE}"))),
        "said by the bot": sorted(await queries.rooms_of_words(db, BOT, [f"${n}" for n in range(OLD)])),
    }
    for user in EVERYBODY:
        for room in (ROOM, OTHER):
            for since in (1, 50_000, 150_000, 500_000):
                found[f"{user} in {room} {since}"] = await queries.is_or_was_in(db, room, user, since)
                found[f"{user} known {since}"] = await queries.rooms_knowing(db, user, [ROOM, OTHER], since)
            for most in (3, 1000):
                found[f"{user} in {room} stand {most}"] = await queries.messages_standing(db, room, user, 500, most)
    return found


async def records(db: AsyncConnection) -> list[int]:
    return list(await db.scalars(select(schema.events.c.record).order_by(schema.events.c.record)))


@pytest.mark.parametrize("most", [1, 7, 1000])
async def test_what_is_asked_of_old_events_is_answered_as_before(db: AsyncConnection, most: int) -> None:
    before = await asked(db)
    assert await leave(db, most) == -(-(OLD - 1) // most)
    assert await asked(db) == before
    assert len(await records(db)) < 2 * OLD - 60
    assert await events_left(db) == LeftEvents(OLD, BOT)


async def test_what_the_bot_said_and_evidence_and_who_was_there_stays(db: AsyncConnection) -> None:
    await leave(db, 10)
    old = {record for record in await records(db) if record < OLD}
    of_bot = {record for record in range(1, OLD) if sender_of(record) == BOT}
    assert old == of_bot | {3, 7, 11, 14, EVIDENCE}


async def test_an_old_event_is_found_by_its_id(db: AsyncConnection) -> None:
    await leave(db, 10)
    assert await queries.event_row(db, EventId("$12")) is None
    assert await queries.old_record(db, EventId("$12")) == 12
    assert await queries.old_record(db, EventId("$nowhere")) is None
    assert await queries.old_record(db, EventId("$150")) is None  # it is not old


def test_nobody_makes_two_events_of_which_one_passes_for_the_other() -> None:
    """Check the length of digests: of many events two have one digest after tries of half as many bits.

    The one would be sent first, and the other never be judged.
    """
    digests = [digest_of(event) for event in ("$one", "$two", "$\u00e9")]
    assert [8 * len(urlsafe_b64decode(f"{digest}=")) for digest in digests] == [160] * 3
    assert len(set(digests)) == 3


async def test_doing_it_again_changes_nothing(db: AsyncConnection) -> None:
    await leave(db, 10)
    before = [(await db.execute(select(table))).all() for table in (schema.events, schema.old_events, schema.spoke)]
    await leave(db, 10)
    after = [(await db.execute(select(table))).all() for table in (schema.events, schema.old_events, schema.spoke)]
    assert before == after


async def test_an_old_message_can_become_evidence(db: AsyncConnection) -> None:
    """It was reported: it comes back to the table, so that all is known of it that is asked of evidence."""
    before = await queries.event_row(db, EventId("$22")), await asked(db)
    await leave(db, 10)
    await project(case(22, 2), db, 302, 1)
    await project(CaseGrew(room=ROOM, n=2, event=EventId("$24"), on=24, subject=sender_of(24)), db, 303, 1)
    found = await queries.case_view(db, 2)
    assert found is not None
    assert found.events == ("$22", "$24")
    assert (await queries.event_row(db, EventId("$22")), await asked(db)) == before
    await leave(db, 10)
    assert await queries.event_row(db, EventId("$22")) == before[0]


@pytest.mark.parametrize("record", [12, 13, REMOVED, SWEPT.start + 2])
async def test_what_is_no_message_or_was_removed_comes_back_as_what_it_was(db: AsyncConnection, record: int) -> None:
    """`!redact` in reply to a reaction, an edit without words, or a message that a measure had removed before."""
    event = EventId(f"${record}")
    before = await queries.event_row(db, event), await asked(db)
    await leave(db, 10)
    await project(replace(case(record, 2), room=room_of(record)), db, 302, 1)
    assert (await queries.event_row(db, event), await asked(db)) == before


async def test_around_an_old_message_nothing_of_weeks_later_is_shown(db: AsyncConnection) -> None:
    """It was reported, and came back; what was said around it has left, and the next message there is of later."""
    assert await queries.messages_around(db, ROOM, 22, BOT, 2) == [18, 19, 22, 23, 24]
    await leave(db, 10)
    await project(case(22, 2), db, 302, 1)
    assert await queries.messages_around(db, ROOM, 22, BOT, 2) == [22]


async def test_around_a_message_no_evidence_of_weeks_before_is_shown(db: AsyncConnection) -> None:
    await leave(db, 10)
    assert await queries.messages_around(db, ROOM, 101, BOT, 2) == [101, 102, 103]


async def test_erasing_a_person_leaves_nothing_of_them(db: AsyncConnection) -> None:
    await leave(db, 10)
    theirs = [record for record in range(1, 2 * OLD) if sender_of(record) == ANNA]
    await project(PartsErased(parts=1, what="operator", records=",".join(map(str, theirs))), db, 304, 1)
    await erase_from_tables(db, [ANNA], ())
    assert ANNA not in await queries.everybody(db)
    assert await queries.known_events(db, [f"${record}" for record in theirs]) == set()
    assert set(await db.scalars(select(schema.spoke.c.user))) == {BEN, CARL}


async def test_a_purge_takes_old_events_with_the_records(db: AsyncConnection) -> None:
    await leave(db, 10)
    await project(RecordsPurged(below=60, what="schedule"), db, 304, 1)
    assert await queries.known_events(db, [f"${record}" for record in range(2 * OLD)]) == {
        f"${record}" for record in range(60, 2 * OLD)
    }
    assert set(await db.scalars(select(schema.spoke.c.user))) == {ANNA, BEN}  # Carl wrote before that only


PER_EVENT = (
    "SELECT event FROM old_events WHERE event IN (SELECT value FROM json_each('[]'))",
    "SELECT record FROM old_events WHERE event = ''",
    "DELETE FROM old_events WHERE record < 3",
    "DELETE FROM spoke WHERE record >= 3 AND record < 4",
    "SELECT messages FROM spoke WHERE room = '' AND user = ''",
)


@on_sqlite
@pytest.mark.parametrize("most", [5, 50])
async def test_a_portion_costs_the_same_however_many_events_there_are(db: AsyncConnection, most: int) -> None:
    statements: list[str] = []
    connection = (await db.get_raw_connection()).driver_connection
    assert connection is not None
    await connection.set_trace_callback(statements.append)
    await let_events_leave(db, await queries.events_leaving(db, 0, OLD, BOT, most))
    await queries.known_events(db, ["$1", "$2"])
    await connection.set_trace_callback(None)
    taken = [sql for sql in statements if sql.startswith(("SELECT", "DELETE"))]
    assert len(taken) == 4
    for sql in (*taken, *PER_EVENT):
        plan = [row.detail for row in await db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
        scans = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
        assert [*scans, *(step for step in plan if "TEMP B-TREE" in step)] == [], sql
