"""The limits on beginning verification: by a person, to an address, from a room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.verification import ChallengeSettings
from bot.identity.limits import begin
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import schema
from storage.database.database import Database
from storage.database.place import DatabasePlace

SETTINGS = ChallengeSettings(within=1_000, per_person=2, per_address=3, per_room=4)
NOW = 10_000


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as connection:
        yield connection
    await database.close()


def person(number: int) -> UserId:
    return UserId(f"@p{number}:example.org")


async def refused(db: AsyncConnection, user: UserId, about: str = "", now: int = NOW) -> tuple[str, object] | None:
    try:
        await begin(db, user, about, SETTINGS, now)
    except Refused as error:
        return error.key, error.fields.get("until")
    return None


async def test_limits_one_person_and_says_when_to_try_again(db: AsyncConnection) -> None:
    assert [await refused(db, person(1), now=now) for now in (NOW, NOW + 10, NOW + 20)] == [
        None,
        None,
        ("error.verify.limit-person", NOW + 1_000),
    ]
    assert await refused(db, person(2), now=NOW + 20) is None
    assert await refused(db, person(1), now=NOW + 1_001) is None


async def test_limits_one_address_across_people(db: AsyncConnection) -> None:
    assert [await refused(db, person(n), "mark") for n in range(4)] == [
        None,
        None,
        None,
        ("error.verify.limit-address", NOW + 1_000),
    ]
    assert await refused(db, person(5), "another mark") is None


async def test_limits_one_room_and_people_in_no_room(db: AsyncConnection) -> None:
    room = {"room": "!r:x", "code": "G-1", "purpose": "group", "condition": "protected", "entered": 1}
    await db.execute(insert(schema.rooms).values(room))
    for number in range(6):
        await db.execute(insert(schema.members).values(room="!r:x", user=person(number), membership="join"))
    outside = [await refused(db, person(number)) for number in range(10, 15)]
    assert outside == [None] * 4 + [("error.verify.limit-room", None)]
    inside = [await refused(db, person(number)) for number in range(5)]
    assert inside == [None] * 4 + [("error.verify.limit-room", None)]
    assert await refused(db, person(5), now=NOW + 1_001) is None


async def test_new_accounts_do_not_lock_out_members_of_a_day(db: AsyncConnection) -> None:
    now = 10 * DAY_MS
    room = {"room": "!r:x", "code": "G-1", "purpose": "group", "condition": "protected", "entered": 1}
    await db.execute(insert(schema.rooms).values(room))
    for number in range(6):
        since = now - DAY_MS if number == 0 else now - 1_000
        values = {"room": "!r:x", "user": person(number), "membership": "join", "since": since}
        await db.execute(insert(schema.members).values(values))
    assert [await refused(db, person(n), now=now) for n in range(1, 5)] == [None] * 4
    assert await refused(db, person(5), now=now) == ("error.verify.limit-room", None)
    assert await refused(db, person(0), now=now) is None


async def test_expired_entries_are_dropped(db: AsyncConnection) -> None:
    await refused(db, person(1), "mark")
    await refused(db, person(2), now=NOW + 1_001)
    rows = (await db.execute(schema.challenge_attempts.select())).all()
    assert [(row.user, row.about) for row in rows] == [(person(2), "")]
