"""Queries about verification: since when people are known, who is below a level, their notices, and expiries."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import UNVERIFIED
from moderation.model.context import VerificationInForce
from moderation.model.facts import (
    CaseDecided,
    CaseOpened,
    DoorAnswered,
    Fact,
    NotSeen,
    PartsErased,
    PersonVerified,
    PolicyChanged,
    RecordsPurged,
    RoleChanged,
    RoomEntered,
    RoomStateChanged,
    SanctionStarted,
    VerificationAsked,
)
from moderation.people.verification import Asks, Guest
from moderation.values.events import Membership, MembershipChanged
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import queries, schema
from storage.projections import project, project_events
from tests.postgres.engines import on_both
from tests.unit.moderation.builders import ANNA, BOT, CODE, DAY, HOUR, MARK, NOON, ROOM, policy

pytestmark = on_both

BEN = UserId("@ben:example.org")
LOBBY = RoomId("!lobby")
ASKS = Asks(write=2, below="remove", grace=DAY, methods=frozenset({"vouch", "email"}))
ENTERED = RoomEntered(code=CODE, purpose="group", room_id=ROOM)


class Journal:
    """Applies facts and events one after the other."""

    def __init__(self, db: AsyncConnection) -> None:
        self.db = db
        self.size = 10

    async def fact(self, fact: Fact, at: int = NOON) -> int:
        await project(fact, self.db, self.size, at)
        self.size += 1
        return self.size - 1

    async def member(
        self, user: UserId, membership: Membership, at: int = NOON, room: RoomId = ROOM, name: str = ""
    ) -> None:
        event = MembershipChanged(
            room=room,
            event=EventId(f"${self.size}"),
            sender=user,
            sent_ms=at,
            received_ms=at,
            type="m.room.member",
            content={"membership": membership},
            user=user,
            membership=membership,
            display_name=name,
        )
        await project_events(self.db, [(self.size, event, "join")])
        self.size += 1


@pytest.fixture
async def log(db: AsyncConnection) -> Journal:
    journal = Journal(db)
    await journal.fact(ENTERED, NOON - 9 * DAY)
    await journal.fact(RoomStateChanged(room=ROOM, condition="announced"), NOON - 9 * DAY)
    await journal.fact(RoomStateChanged(room=ROOM, condition="protected"), NOON - 9 * DAY)
    return journal


def verified(user: UserId = ANNA, until: int = NOON + DAY, **more: Any) -> PersonVerified:
    return PersonVerified(**{"method": "vouch", "level": 2, "until": until, "subject": user, "by": MARK, **more})


async def below(log: Journal, now: int = NOON, **more: Any) -> tuple[Guest, ...]:
    return await queries.members_below(log.db, ROOM, 2, ASKS, now, **more)


# Since when.


async def test_somebody_is_known_since_they_were_first_seen_in_a_room(log: Journal) -> None:
    await log.member(ANNA, "invite", NOON - 3)
    assert (await view(log)).since == {ROOM: 0}
    for membership, at in (("join", NOON - 2), ("join", NOON - 1), ("leave", NOON), ("join", NOON + 5)):
        await log.member(ANNA, membership, at)  # type: ignore[arg-type]
    assert (await view(log)).since == {ROOM: NOON - 2}


async def view(log: Journal, user: UserId = ANNA, now: int = NOON) -> Any:
    return await queries.person_view(log.db, user, now_ms=now, recent_since=0)


async def asked_since(log: Journal) -> int:
    room = await queries.room_view(log.db, ROOM, BOT)
    assert room is not None
    return room.asked


async def test_a_room_asks_since_opening_and_again_if_it_asks_for_more(log: Journal) -> None:
    async def by_policy(at: int, **asks: Any) -> int:
        text = policy(verification=asks).model_dump_json(by_alias=True)
        await log.fact(PolicyChanged(digest="-", policy=text), at)
        return await asked_since(log)

    opened = await asked_since(log)
    assert opened == NOON - 9 * DAY
    await log.fact(RoomStateChanged(room=ROOM, condition="observing"), NOON)
    assert await asked_since(log) == opened
    assert await by_policy(NOON) == opened
    assert await by_policy(NOON + 1, write=2) == NOON + 1
    assert await by_policy(NOON + 2, write=2, grace="3d") == NOON + 1
    assert await by_policy(NOON + 3, write=1) == NOON + 1
    assert await by_policy(NOON + 4, write=1, below="remove") == NOON + 4
    elsewhere = [{"rooms": ["G-OTHER"], "write": 2}]
    assert await by_policy(NOON + 5, write=1, below="remove", rooms=elsewhere) == NOON + 4


# Who is below.


async def test_members_below_are_found_with_what_they_were_told_and_when_they_lost_it(log: Journal) -> None:
    for user in (ANNA, BEN, MARK):
        await log.member(user, "join", NOON - HOUR)
    await log.fact(RoleChanged(room=ROOM, role="manager", was="member", subject=MARK))
    await log.fact(verified(BEN))
    await log.fact(VerificationAsked(room=ROOM, what="halfway", subject=ANNA), NOON - 5)
    assert await below(log) == (Guest(ANNA, NOON - HOUR, 0, {"halfway": NOON - 5}),)
    assert [each.user for each in await below(log, managers=True)] == [MARK]
    assert await below(log, NOON + 2 * DAY) == (
        Guest(ANNA, NOON - HOUR, 0, {"halfway": NOON - 5}),
        Guest(BEN, NOON - HOUR, NOON + DAY, {}),
    )
    await log.member(BEN, "leave")
    assert [each.user for each in await below(log, NOON + 2 * DAY)] == [ANNA]


async def test_a_method_that_does_not_count_and_a_revoked_one_do_not_help(log: Journal) -> None:
    for user in (ANNA, BEN):
        await log.member(user, "join", NOON - HOUR)
    await log.fact(verified(ANNA, method="oidc", level=3))
    await log.fact(verified(BEN))
    await log.fact(verified(BEN, step="revoked"), NOON - 7)
    assert [(each.user, each.lapsed) for each in await below(log)] == [(ANNA, 0), (BEN, NOON - 7)]
    assert (await view(log, BEN)).proofs == (VerificationInForce("vouch", 2, NOON - 7),)


async def test_exempted_and_removed_members_are_left_out(log: Journal) -> None:
    for user in (ANNA, BEN):
        await log.member(user, "join", NOON - HOUR)
    case = CaseOpened(
        room=ROOM, n=1, rule=UNVERIFIED, grade="minor", decide="auto", state="decided", due=0, subject=ANNA
    )
    await log.fact(case)
    kick = SanctionStarted(room=ROOM, kind="kick", n=1, basis="verification", rule=UNVERIFIED, subject=BEN)
    await log.fact(kick)
    assert [each.user for each in await below(log)] == [ANNA]
    await log.fact(CaseDecided(room=ROOM, n=1, what="dismissed", subject=ANNA))
    assert await below(log) == ()
    await log.member(BEN, "leave")
    await log.member(BEN, "join")
    assert [each.user for each in await below(log)] == [BEN]


# The door.


async def test_knocking_people_are_found_with_the_last_answer(log: Journal) -> None:
    for user in (ANNA, BEN):
        await log.member(user, "knock")
    await log.fact(DoorAnswered(room=ROOM, what="knocked", subject=BEN), NOON - 1)
    assert await queries.knocking_people(log.db, ROOM) == {ANNA: 0, BEN: NOON - 1}
    await log.member(BEN, "leave")
    assert await queries.knocking_people(log.db, ROOM) == {ANNA: 0}


async def test_lobby_waiters_and_removed_members_are_outside_until_invited(log: Journal) -> None:
    await log.fact(RoomEntered(code=GroupCode("G-L2L2"), purpose="lobby", served=CODE, room_id=LOBBY))
    assert await queries.lobby_of(log.db, CODE) == LOBBY
    for user in (ANNA, MARK):
        await log.member(user, "join", room=LOBBY)
    await log.member(MARK, "join")
    await log.fact(SanctionStarted(room=ROOM, kind="kick", basis="verification", rule=UNVERIFIED, subject=BEN))
    assert await queries.outside(log.db, ROOM, CODE) == (ANNA, BEN)
    assert [await queries.in_a_lobby(log.db, user) for user in (ANNA, BEN)] == [True, False]
    for user in (ANNA, BEN):
        await log.fact(DoorAnswered(room=ROOM, what="admitted", subject=user), NOON + 1)
    assert await queries.outside(log.db, ROOM, CODE) == ()
    await log.fact(RoomStateChanged(room=LOBBY, condition="left"))
    assert await queries.lobby_of(log.db, CODE) is None


# What ends.


async def test_ending_verifications_without_a_successor_are_found(log: Journal) -> None:
    await log.fact(verified(ANNA, NOON + DAY))
    await log.fact(verified(BEN, NOON + DAY))
    await log.fact(verified(BEN, NOON + 6 * DAY))
    await log.fact(verified(BEN, NOON + 3 * DAY, method="email", level=1))
    await log.fact(verified(MARK, NOON - 8 * DAY))
    await log.fact(verified(MARK, NOON + 60 * DAY))
    await log.fact(VerificationAsked(what="expires", subject=ANNA), NOON + 7)
    assert await queries.endings(log.db, NOON) == (
        queries.Ending(ANNA, NOON, NOON + DAY, NOON + 7, 0),
        queries.Ending(BEN, NOON, NOON + 6 * DAY, 0, 0),
    )
    await log.fact(verified(ANNA, step="revoked"))
    assert [each.user for each in await queries.endings(log.db, NOON)] == [BEN]


async def test_downtime_postpones_the_effects_of_a_notice(log: Journal) -> None:
    for what in ("halfway", "reminded"):
        await log.fact(VerificationAsked(room=ROOM, what=what, subject=ANNA), NOON)
    await log.fact(NotSeen(what="down", count=HOUR), NOON + 2 * HOUR)
    await log.fact(VerificationAsked(room=ROOM, what="managing", subject=MARK), NOON + 2 * HOUR)
    assert (await view(log)).told == {(ROOM, "halfway"): NOON + HOUR, (ROOM, "reminded"): NOON}
    assert (await view(log, MARK)).told == {(ROOM, "managing"): NOON + 2 * HOUR}


async def test_notices_are_dropped_when_erased_or_expired(log: Journal) -> None:
    records = [await log.fact(VerificationAsked(room=ROOM, what="reminded", subject=user)) for user in (ANNA, BEN)]
    assert (await view(log)).told == {(ROOM, "reminded"): NOON}
    await log.fact(PartsErased(parts=1, what="operator", records=str(records[0])))
    assert [row.user for row in await log.db.execute(select(schema.pointed.c.user))] == [BEN]
    await log.fact(RecordsPurged(below=records[1] + 1, what="schedule"))
    assert (await log.db.execute(select(schema.pointed))).all() == []
