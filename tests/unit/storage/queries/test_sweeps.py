"""The reach of a sweep: by time, by account, and without what is redacted already."""

from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive
from moderation.model.facts import AccountsLinked, SanctionStarted, Swept
from moderation.values.events import Event, Unreadable
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.projections import POSTED, UNREAD, project, project_events

NOON, HOUR = 1_795_521_600_000, 3_600_000
ROOM, OTHER = RoomId("!room:example.org"), RoomId("!other:example.org")
ANN, ANNIE, BEN = (UserId(f"@{name}:example.org") for name in ("ann", "annie", "ben"))
TEXT = {"msgtype": "m.text", "body": "buy now"}


async def write(
    db: AsyncConnection,
    index: int,
    *,
    at: int = NOON,
    user: UserId = ANN,
    room: RoomId = ROOM,
    kind: str = POSTED,
    late: int = -1,
    raw: dict[str, Any] | None = None,
) -> None:
    """Record an event; it is called by its record."""
    given = {"event_id": f"${index}", "sender": user, "origin_server_ts": at, "type": "m.room.message", "content": TEXT}
    event = receive(given | (raw or {}), room, at)
    if isinstance(event, Event):
        event = replace(event, late=late)
    await project_events(db, [(index, event, kind)])


async def since(db: AsyncConnection, at: int, *accounts: UserId, most: int = 500, before: int = 1000) -> list[int]:
    found = await queries.written_since(db, [ROOM], accounts or (ANN,), at, most, before=before)
    assert [each.event for each in found] == [f"${each.record}" for each in found]
    return [each.record for each in found]


def swept(oldest: int, n: int, user: UserId = ANN) -> Swept:
    return Swept(room=ROOM, since=NOON, until=NOON, oldest=oldest, count=1, n=n, subject=user, by=BEN)


async def test_messages_edits_reactions_and_unreadable_events_count_and_settings_do_not(db: AsyncConnection) -> None:
    reaction = {
        "type": "m.reaction",
        "content": {"m.relates_to": {"event_id": "$0", "key": "👍", "rel_type": "m.annotation"}},
    }
    join = {"type": "m.room.member", "state_key": ANN, "content": {"membership": "join"}}
    await write(db, 1)
    await write(db, 2, kind="message", raw=reaction)
    await write(db, 3, kind="join", raw=join)
    await write(db, 4, kind=UNREAD, raw={"type": "m.room.encrypted", "content": {}})
    await write(db, 5, user=BEN)
    await write(db, 6, room=OTHER)
    assert await since(db, NOON) == [4, 2, 1]
    assert await since(db, NOON, before=2) == [1]
    assert await since(db, NOON, most=2) == [4, 2]


async def test_only_what_was_written_since_then_counts_and_late_keys_by_when_they_came(db: AsyncConnection) -> None:
    await write(db, 1, at=NOON)
    await write(db, 2, at=NOON, user=BEN)
    await write(db, 3, at=NOON, late=1)
    await write(db, 4, at=NOON + 2 * HOUR, user=BEN)
    await write(db, 5, at=NOON + 2 * HOUR, late=1)
    await write(db, 6, at=NOON + 3 * HOUR)
    assert await since(db, NOON + HOUR) == [6, 5]
    assert await since(db, NOON) == [6, 5, 3, 1]


async def test_all_accounts_are_swept_together(db: AsyncConnection) -> None:
    await write(db, 1)
    await write(db, 2, user=ANNIE)
    assert await since(db, NOON, ANN, ANNIE) == [2, 1]
    await project(AccountsLinked(method="confirmed", subject=ANNIE, target=ANN), db, 3, NOON)
    await project(swept(1, 7, ANNIE), db, 4, NOON)
    assert await queries.unwanted_events(db, ["$1", "$2"]) == {"$1", "$2"}
    assert await since(db, NOON, ANN, ANNIE) == []


async def test_what_is_redacted_already_is_left_out_but_not_by_the_sweep_itself(db: AsyncConnection) -> None:
    for index in range(1, 6):
        await write(db, index)
    gone = SanctionStarted(room=ROOM, kind="redact", basis="rule", n=1, rule="r", subject=ANN, event=EventId("$3"))
    await project(gone, db, 6, NOON)
    assert await since(db, NOON) == [5, 4, 2, 1]
    await project(swept(4, 7), db, 7, NOON)
    await write(db, 8)
    assert await since(db, NOON) == [8, 2, 1]
    assert await queries.unwanted_events(db, [f"${index}" for index in range(1, 9)]) == {"$3", "$4", "$5"}

    async def to_redact(before_ms: int | None) -> list[int]:
        found = await queries.written_from(db, [ROOM], (ANN,), 4, 500, n=7, before=7, before_ms=before_ms)
        return [each.record for each in found]

    assert [await to_redact(before_ms) for before_ms in (NOON, NOON + 1, None)] == [[5, 4], [8, 5, 4], [8, 5, 4]]


async def test_an_unreadable_event_without_an_id_is_no_message(db: AsyncConnection) -> None:
    event = Unreadable(room=ROOM, received_ms=NOON, problem="no id", event=None, sender=ANN)
    await project_events(db, [(1, event, UNREAD)])
    assert await since(db, NOON) == []
