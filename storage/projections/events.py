"""Events: that they were seen, memberships, and the state of rooms."""

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, case, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.events import MembershipChanged, MessagePosted, Received, StateChanged, Unreadable
from moderation.values.ids import RoomId, UserId, is_room_id
from storage import schema
from storage.database.dialect import Upsert, upsert
from storage.database.rows import value_of
from storage.journal.canonical import plain

from .common import MANY, POSTED, REMOVED, UNREAD, without_marks

_NEW = upsert(schema.events)
_EVENT = _NEW.on_conflict_do_update(  # an event read later replaces the row that said it could not be read
    index_elements=["event"],
    set_={"record": _NEW.excluded.record, "kind": _NEW.excluded.kind, "at": _NEW.excluded.at},
    where=schema.events.c.kind == UNREAD,
)
_STATE = update(schema.rooms).where(schema.rooms.c.room == bindparam("this"))
_ANY_REMOVED = select(schema.pointed.c.record).where(schema.pointed.c.step == REMOVED).limit(1)


def _membership(*, came: bool) -> Upsert:
    """Return the statement for people who came or went.

    The name somebody had stays known after they left; so do the times they first and last came, and their
    last invitation.
    """
    new, since, joined = upsert(schema.members), schema.members.c.since, schema.members.c.joined
    kept: dict[str, ColumnElement[object]] = {"membership": new.excluded.membership}
    if not came:
        invited = new.excluded.invited
        kept["invited"] = case((invited > 0, invited), else_=schema.members.c.invited)
    if came:
        kept["display_name"] = new.excluded.display_name
        kept["since"] = case((since == 0, new.excluded.since), else_=since)
        kept["joined"] = case((schema.members.c.membership == "join", joined), else_=new.excluded.joined)
    return new.on_conflict_do_update(index_elements=["room", "user"], set_=kept)


_CAME, _GONE = _membership(came=True), _membership(came=False)


async def project_events(db: AsyncConnection, seen: Sequence[tuple[int, Received, str]]) -> None:
    """Write what events say of rooms: that they were seen, and who is in. Each is (index, event, kind), in order.

    They are written many at once, since most messages change nothing else.
    """
    rows = [_seen(index, event, kind) for index, event, kind in seen if event.event is not None]
    if rows:
        await db.execute(_EVENT, rows)
    changes = [(index, event) for index, event, _ in seen if isinstance(event, MembershipChanged)]
    while changes:  # mostly once: nobody is written twice at a time, so that all is as if written one by one
        now: dict[tuple[RoomId, UserId], tuple[int, MembershipChanged]] = {}
        for index, event in changes:
            now.setdefault((event.room, event.user), (index, event))
        written = {index for index, _ in now.values()}
        changes = [change for change in changes if change[0] not in written]
        for came in (True, False):
            await _members(db, [each for each in now.values() if (each[1].membership == "join") is came], came)


async def project_room_state(db: AsyncConnection, event: StateChanged) -> bool:
    """Write what a state event says of a room: its levels, its creators, its name.

    Returns whether it said any of that.
    """
    column = _state(event) if event.state_key == "" else {}
    if column:
        await db.execute(_STATE, {"this": event.room, **column})
    return bool(column)


def _seen(index: int, event: Received, kind: str) -> dict[str, object]:
    return {
        "event": event.event,
        "record": index,
        "room": event.room,
        "sender": event.sender or "",
        "kind": POSTED if isinstance(event, MessagePosted) else kind,
        "at": 0 if getattr(event, "late", -1) >= 0 else _at(event),  # many keys arrive at once: that is no flood
    }


def _at(event: Received) -> int:
    """Return the time that counts.

    A message whose words were not kept is no longer a message when read from its record, but counts the same.
    """
    return event.received_ms if isinstance(event, Unreadable) else event.counted_ms


async def _members(db: AsyncConnection, changes: Sequence[tuple[int, MembershipChanged]], came: bool) -> None:
    if not changes:
        return
    rows = [
        {
            "room": e.room,
            "user": e.user,
            "membership": e.membership,
            "display_name": e.display_name or "",
            "since": e.counted_ms if came else 0,
            "joined": e.counted_ms if came else 0,
            "seen": index,
            "invited": index if e.membership == "invite" else 0,
        }
        for index, e in changes
    ]
    if came:
        await _back(db, [event for _, event in changes])
    await db.execute(_CAME if came else _GONE, rows)


async def _back(db: AsyncConnection, changes: Sequence[MembershipChanged]) -> None:
    """Clear the mark of those who were removed as unverified and are back, so that they are checked again."""
    p = schema.pointed.c
    if await value_of(db, _ANY_REMOVED, {}) is None:
        return
    for start in range(0, len(changes), MANY):
        who = tuple_(p.room, p.user).in_([(event.room, event.user) for event in changes[start : start + MANY]])
        await db.execute(delete(schema.pointed).where(p.step == REMOVED, who))


def _state(event: StateChanged) -> dict[str, str]:
    if event.type == "m.room.power_levels":
        return {"levels": _written(dict(event.content), 1)}
    if event.type == "m.room.create":
        return {"created": _written({"sender": event.sender, "content": without_marks(event.content)})}
    if event.type == "m.room.tombstone":
        successor = event.content.get("replacement_room")
        return {"successor": successor if isinstance(successor, str) and is_room_id(successor) else ""}
    if event.type == "m.room.name":
        return {"name": event.texts[0].value if event.texts else "", "named_by": event.sender or ""}
    return {}


def _written(content: object, depth: int = 0) -> str:
    """Return JSON that is the same from the homeserver and from a record, which sorts keys and has no fractions.

    `depth`: how deep it is nested in a record, where content nested too deeply becomes text.
    """
    return json.dumps(plain(content, depth), sort_keys=True)
