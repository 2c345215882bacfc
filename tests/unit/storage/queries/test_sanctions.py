"""Sanctions that concern a room: no others are read, and nothing is overlooked."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import InForce
from moderation.model.facts import (
    AccountsLinked,
    LevelKept,
    RoomEntered,
    RoomStateChanged,
    SanctionEnded,
    SanctionStarted,
)
from moderation.model.reach import Spot
from moderation.rooms.align_people import Alignment, KeptLevel, RoomPicture
from moderation.rooms.align_room import align
from moderation.values.ids import GroupCode, RoomId, UserId
from moderation.values.power_levels import Power
from storage import queries, schema
from storage.database.database import Database
from storage.projections import project
from tests.examples import tried
from tests.postgres.engines import on_sqlite
from tests.unit.moderation.builders import ANNA, BOT, MARK, MINA, NOON, OLGA, ROOM
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables

TWIN, STRANGER = UserId("@twin:example.org"), UserId("@stranger:example.org")
OTHER = RoomId("!other:example.org")
PEOPLE = (ANNA, TWIN, MARK, MINA, STRANGER)
HERE, ELSEWHERE = "garden", "kitchen"  # communities


@pytest.fixture
async def db(database: Database) -> AsyncIterator[AsyncConnection]:
    async with database.write() as connection:
        await _rooms(connection)
        yield connection


async def _rooms(db: AsyncConnection) -> None:
    for number, (room, community) in enumerate(((ROOM, HERE), (OTHER, ELSEWHERE)), 1):
        entered = RoomEntered(room=room, code=GroupCode(f"G-7F3{number}"), purpose="group", room_id=room)
        await project(entered, db, number, NOON)
        await project(RoomStateChanged(room=room, condition="protected"), db, number + 5, NOON)
        await db.execute(schema.rooms.update().where(schema.rooms.c.room == room).values(community=community))


async def _members(db: AsyncConnection, room: RoomId, there: dict[UserId, str]) -> None:
    rows: list[dict[str, Any]] = [
        {"room": room, "user": user, "membership": is_, "display_name": "", "role": "member"}
        for user, is_ in there.items()
    ]
    if rows:
        await db.execute(insert(schema.members), rows)


def _ban(user: UserId, **more: Any) -> SanctionStarted:
    return SanctionStarted(**{"kind": "ban", "basis": "operator", "subject": user, **more})


async def test_only_sanctions_that_concern_the_room_are_read(db: AsyncConnection) -> None:
    await _members(db, ROOM, {ANNA: "join", MARK: "leave"})
    facts = (
        _ban(ANNA),
        _ban(MARK, room=OTHER, reach=HERE),
        _ban(MINA),  # never here
        _ban(MINA, room=ROOM),  # but banned here
        _ban(ANNA, room=OTHER, reach=ELSEWHERE),
        _ban(STRANGER, kind="demote"),
    )
    for number, fact in enumerate(facts, 10):
        await project(fact, db, number, NOON)
    assert [each.record for each in await queries.sanctions_in(db, ROOM)] == [10, 11, 13]
    assert [each.record for each in await queries.sanctions_in(db, ROOM, (STRANGER,))] == [10, 11, 13, 15]
    assert [each.record for each in await queries.sanctions_in(db, OTHER)] == [11, 14]


async def test_a_ban_that_is_carried_out_meanwhile_does_not_look_like_one_that_ended(database: Database) -> None:
    async with database.write() as db:
        await _rooms(db)
        await _members(db, ROOM, {ANNA: "join"})
        await project(_ban(ANNA, room=ROOM), db, 10, NOON)
        held = LevelKept(room=ROOM, step="held", what="ban", prior="join", held="ban", subject=ANNA)
        await project(held, db, 11, NOON)
    async with database.snapshot() as db:
        kept = await queries.holds_in(db, ROOM)
        async with database.write() as other:  # the homeserver tells that she is banned
            await other.execute(schema.members.update().values(membership="ban"))
        in_force = await queries.sanctions_in(db, ROOM)
        assert [user for user, _ in kept] == [each.subject for each in in_force] == [ANNA]
    async with database.snapshot() as db:
        assert (await queries.holds_in(db, ROOM), await queries.sanctions_in(db, ROOM)) == ({}, ())


async def test_rooms_with_nothing_in_force_need_no_alignment(db: AsyncConnection) -> None:
    await _members(db, ROOM, {TWIN: "join"})
    assert await queries.rooms_with_sanctions(db) == set()
    await project(_ban(ANNA), db, 10, NOON)
    assert await queries.rooms_with_sanctions(db) == set()
    await project(AccountsLinked(method="confirmed", subject=TWIN, target=ANNA), db, 11, NOON)
    assert await queries.rooms_with_sanctions(db) == {ROOM}
    await _members(db, OTHER, {MARK: "join"})
    await project(_ban(MARK, room=RoomId("!a:example.org"), reach=HERE), db, 12, NOON)
    assert await queries.rooms_with_sanctions(db) == {ROOM, "!a:example.org"}
    await project(LevelKept(room=OTHER, step="held", prior="50", held="-1", subject=MARK), db, 13, NOON)
    assert await queries.rooms_with_sanctions(db) == {ROOM, OTHER, "!a:example.org"}


@on_sqlite
async def test_a_look_up_takes_as_many_steps_however_many_are_banned_everywhere(db: AsyncConnection) -> None:
    levels = {"users": {MARK: 50, BOT: 100}}
    await db.execute(schema.rooms.update().values(levels=str(levels).replace("'", '"')))
    await _members(db, ROOM, dict.fromkeys(PEOPLE, "join"))

    async def steps() -> int:
        count = 0

        def one() -> int:
            nonlocal count
            count += 1
            return 0

        driver: Any = (await db.get_raw_connection()).driver_connection
        await driver.set_progress_handler(one, 1)
        await queries.sanctions_in(db, ROOM, (OLGA,))
        assert await queries.room_view(db, ROOM, BOT) is not None
        await driver.set_progress_handler(None, 0)
        return count

    alone = await steps()
    for number in range(500):
        await project(_ban(UserId(f"@spam{number}:example.org")), db, 100 + number, NOON)
    assert await steps() <= 1.2 * alone


async def test_bans_that_are_carried_out_are_not_read_again(db: AsyncConnection) -> None:
    await _members(db, ROOM, {ANNA: "ban", MARK: "ban", MINA: "ban", TWIN: "ban"})
    await project(AccountsLinked(method="confirmed", subject=TWIN, target=STRANGER), db, 9, NOON)
    for number, user in enumerate((ANNA, MARK, MINA, TWIN), 10):
        await project(_ban(user, room=ROOM), db, number, NOON)
    kept = {ANNA: "held", MARK: "intended", TWIN: "held"}
    await _keep(db, {(user, "ban"): KeptLevel(user, "ban", step, "-", "ban") for user, step in kept.items()})  # type: ignore[arg-type]
    assert {user for user, _ in await queries.holds_in(db, ROOM)} == {MARK, TWIN}
    # That of Mark is still to be done, and another account of Twin's may come.
    assert [each.record for each in await queries.sanctions_in(db, ROOM)] == [11, 13, 13]
    assert await queries.rooms_with_sanctions(db) == {ROOM}
    end = SanctionEnded(room=ROOM, start=10, kind="ban", why="time", subject=ANNA)
    await project(end, db, 20, NOON)
    assert {user for user, _ in await queries.holds_in(db, ROOM)} == {ANNA, MARK, TWIN}


async def test_a_room_in_which_every_ban_is_carried_out_needs_no_alignment(db: AsyncConnection) -> None:
    await _members(db, ROOM, {ANNA: "ban", MARK: "ban"})
    await _keep(db, {(ANNA, "ban"): KeptLevel(ANNA, "ban", "held", "-", "ban")})
    for number, fact in enumerate((_ban(ANNA, room=ROOM), _ban(MARK)), 10):
        await project(fact, db, number, NOON)
    assert await queries.rooms_with_sanctions(db) == set()
    await _members(db, OTHER, {MARK: "join"})
    assert await queries.rooms_with_sanctions(db) == {OTHER}
    end = SanctionEnded(room=ROOM, start=10, kind="ban", why="time", subject=ANNA)
    await project(end, db, 20, NOON)
    assert await queries.rooms_with_sanctions(db) == {ROOM, OTHER}


# A law: what is not read would have changed nothing.

_people = st.sampled_from(PEOPLE)
_sanction = st.builds(
    lambda user, kind, where: _ban(user, kind=kind, room=where[0], reach=where[1]),
    _people,
    st.sampled_from(("ban", "mute", "demote")),
    st.sampled_from(((None, ""), (ROOM, ""), (OTHER, ""), (OTHER, HERE), (OTHER, ELSEWHERE))),
)


@given(
    members=st.dictionaries(_people, st.sampled_from(("join", "leave", "ban", "invite"))),
    levels=st.dictionaries(_people, st.sampled_from((0, 10, 50))),
    kept=st.dictionaries(
        st.tuples(_people, st.sampled_from(("level", "ban"))), st.sampled_from(("held", "intended", "overruled"))
    ),
    sanctions=st.lists(_sanction, max_size=6),
    linked=st.booleans(),
)
@settings(max_examples=tried(100), suppress_health_check=EACH_IS_NEW)
async def test_an_alignment_is_the_same_as_with_all_sanctions_there_are(
    new_tables: NewTables,
    members: dict[UserId, str],
    levels: dict[UserId, int],
    kept: dict[tuple[UserId, str], Any],
    sanctions: list[SanctionStarted],
    linked: bool,
) -> None:
    power = Power.of({"sender": OLGA, "content": {"room_version": "11"}}, {"users": levels | {BOT: 100}}, bot=BOT)
    holds = {
        (user, what): KeptLevel(user, what, step, "-", "ban" if what == "ban" else "-1")
        for (user, what), step in kept.items()
    }
    async with new_tables() as db:
        await _rooms(db)
        await _members(db, ROOM, members)
        for number, fact in enumerate(sanctions, 10):
            await project(fact, db, number, NOON)
        if linked:
            await project(AccountsLinked(method="confirmed", subject=TWIN, target=ANNA), db, 50, NOON)
        await _keep(db, holds)
        some_holds = await queries.holds_in(db, ROOM)
        named = {user for user, _ in some_holds}
        some = await queries.sanctions_in(db, ROOM, {*levels, *named})
        there = await queries.memberships(db, ROOM, {each.subject for each in some} | named)
        everything = await _everything(db)
        everybody = await queries.memberships(db, ROOM)
        concerned = await queries.rooms_with_sanctions(db)
    found = align(RoomPicture(power, everybody, BOT, holds), everything)
    assert align(RoomPicture(power, there, BOT, some_holds), some) == found
    if ROOM not in concerned and levels.keys() <= members.keys():  # others' levels are read when they change
        assert found == Alignment()


async def _keep(db: AsyncConnection, holds: Mapping[tuple[UserId, str], KeptLevel]) -> None:
    for kept in holds.values():
        values = {"user": kept.user, "what": kept.what, "step": kept.step, "prior": kept.prior, "held": kept.held}
        await db.execute(insert(schema.holds).values(room=ROOM, corrections=0, **values))


async def _everything(db: AsyncConnection) -> list[InForce]:
    found = [each for each in await queries.all_in_force(db) if each.covers(Spot(ROOM, HERE))]
    accounts = await queries.accounts_of_all(db, {each.subject for each in found})
    return [
        InForce(each.record, each.kind, each.room, user, each.until, each.basis, reach=each.reach)
        for each in found
        for user in accounts[each.subject]
    ]
