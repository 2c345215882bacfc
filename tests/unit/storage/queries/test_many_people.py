"""Reading many people at once gives the same as reading each alone."""

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive
from moderation.model.facts import (
    AccountsLinked,
    CaseOpened,
    CreditChanged,
    Fact,
    LanguageChosen,
    PersonVerified,
    RoleChanged,
    RoomEntered,
    RoomStateChanged,
    SanctionStarted,
    VerificationAsked,
)
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from moderation.values.notices import RoomName, line, rooms_named
from storage import queries
from storage.projections import project, project_events

NOON = 1_795_521_600_000
ROOM, OTHER = RoomId("!room"), RoomId("!other")
NAMES = ("plain", "charged", "muted", "cased", "verified", "told", "spoken", "owner", "first", "second", "stranger")
PEOPLE = {name: UserId(f"@{name}:example.org") for name in NAMES}


async def _apply(db: AsyncConnection, *facts: Fact) -> None:
    for index, fact in enumerate(facts, 1000):
        await project(fact, db, index, NOON)


async def _fill(db: AsyncConnection) -> None:
    who = PEOPLE
    for room, code in ((ROOM, "G-0001"), (OTHER, "G-0002")):
        entered = RoomEntered(code=GroupCode(code), purpose="group", room_id=room, subject=who["owner"])
        await _apply(db, entered, RoomStateChanged(room=room, condition="protected"))
    joins = [_event(n, user, room) for n, user in enumerate(PEOPLE.values()) for room in (ROOM, OTHER)]
    await project_events(db, [(index, receive(raw, room, NOON), "join") for index, (raw, room) in enumerate(joins)])
    await _apply(
        db,
        CreditChanged(room=ROOM, entry="charge", cost=5, grade="minor", rule="r", n=1, left=95, subject=who["charged"]),
        SanctionStarted(room=ROOM, kind="mute", until=NOON * 2, n=1, basis="rule", subject=who["muted"]),
        CaseOpened(room=ROOM, n=1, rule="r", grade="minor", decide="auto", state="open", due=0, subject=who["cased"]),
        PersonVerified(room=ROOM, step="verified", method="vouch", level=2, until=NOON * 2, subject=who["verified"]),
        VerificationAsked(room=ROOM, what="reminded", subject=who["told"]),
        LanguageChosen(subject=who["spoken"], language="zh"),
        RoleChanged(room=OTHER, role="owner", was="member", subject=who["owner"]),
        AccountsLinked(method="oidc", subject=who["second"], target=who["first"]),
    )


def _event(number: int, user: UserId, room: RoomId) -> tuple[dict[str, object], RoomId]:
    return {
        "type": "m.room.member",
        "state_key": user,
        "sender": user,
        "event_id": f"${number}{room}",
        "origin_server_ts": NOON + number,
        "content": {"membership": "join"},
    }, room


async def test_each_of_many_is_who_they_are_by_themselves(db: AsyncConnection) -> None:
    await _fill(db)
    users = tuple(PEOPLE.values())
    many = await queries.people_views(db, users, now_ms=NOON, recent_since=0)
    alone = {user: await queries.person_view(db, user, now_ms=NOON, recent_since=0) for user in users}
    assert many == alone
    assert many[PEOPLE["owner"]].manages == {OTHER}
    assert many[PEOPLE["first"]].accounts == {PEOPLE["first"], PEOPLE["second"]}


def _message(number: int, user: UserId, room: RoomId) -> dict[str, object]:
    content = {"msgtype": "m.text", "body": str(number)}
    return {
        "type": "m.room.message",
        "sender": user,
        "event_id": f"$m{number}",
        "origin_server_ts": NOON,
        "content": content,
    }


async def test_only_the_rooms_that_are_named_are_read(db: AsyncConnection) -> None:
    await _fill(db)
    lines = (line("duty.head", room=RoomName(OTHER)), line("cases.none"))
    assert await queries.room_names(db, rooms_named(lines)) == {OTHER: "G-0002"}
    assert await queries.room_names(db, rooms_named(lines[1:])) == {}
    assert await queries.room_names(db) == {ROOM: "G-0001", OTHER: "G-0002"}


async def test_people_with_any_name_can_be_queried(db: AsyncConnection) -> None:
    ids = ["$" + odd for odd in ('"', "\\", "'", "\x00", "[", "é", "%", "$", "🦒")]
    events = [_message(n, PEOPLE["plain"], ROOM) | {"event_id": id} for n, id in enumerate(ids)]
    kept = [event for n, raw in enumerate(events) if (event := receive(raw, ROOM, NOON)).event]
    await project_events(db, [(n, event, "message") for n, event in enumerate(kept)])
    known = [EventId(event.event) for event in kept if event.event]
    assert await queries.known_events(db, [*known, "$not there"]) == set(known)
    assert len(known) >= 7
