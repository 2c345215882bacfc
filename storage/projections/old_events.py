"""Events of people that leave the table of events, since nothing reads many of them any more.

What stays of each is the digest of its id with its record, its time and its kind, and of each person in a room how many
messages stood and when they last wrote. The log has the rest.

Rules kept here:
- What tells who was there and what was taken back stays: memberships, states of rooms, redactions, what could not be
  read.
- What the bot said stays, so that it can be taken back, and so does what is evidence of a case. A message that becomes
  evidence later comes back: somebody reported it.
- Doing it again changes nothing.

Left to others: choosing (`storage/queries/old_events.py`), when (`bot/scheduler/old_events.py`).
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from sqlalchemy import bindparam, case, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId, UserId
from storage import schema
from storage.database.dialect import upsert

from .common import POSTED, get_meta, set_meta
from .daily import MESSAGE

LEAVING = (POSTED, MESSAGE, "edit")  # the kinds of events that leave
COUNTED = ""  # in place of the kind: a message that stood when it left
EVENTS_LEFT = "events_left"  # the first record whose event was not looked at, and the bot whose events stay
_NOBODY = UserId("")
_BYTES = 20  # of a digest: nobody makes two events, one of them harmless, that have the same (2^80 tries)

_e, _s, _v = schema.events.c, schema.spoke.c, schema.evidence.c
_NEW_OLD, _NEW_SPOKE = upsert(schema.old_events), upsert(schema.spoke)
_OLD = _NEW_OLD.on_conflict_do_nothing()
_SPOKE = _NEW_SPOKE.on_conflict_do_update(
    index_elements=["room", "user"],
    set_={
        "record": _NEW_SPOKE.excluded.record,
        "messages": _s.messages + _NEW_SPOKE.excluded.messages,
        "last": case((_s.last > _NEW_SPOKE.excluded.last, _s.last), else_=_NEW_SPOKE.excluded.last),
    },
)
SHOWN = schema.evidence.select().with_only_columns(_v.record).where(_v.record == _e.record).exists()
_GONE = delete(schema.events).where(
    _e.record >= bindparam("start"),
    _e.record < bindparam("stop"),
    _e.kind.in_(LEAVING),
    _e.sender != bindparam("bot"),
    ~SHOWN,
)
_o, _f, _r = schema.old_events.c, schema.former_rooms.c, schema.rooms.c
_FIND = select(_o.record, _o.at, _o.kind).where(_o.event == bindparam("digest"))
_FORMER = (
    select(_f.room)
    .join(schema.rooms, _r.code == _f.code)
    .where(_r.room == bindparam("room"), _f.record > bindparam("record"))
    .order_by(_f.record)
    .limit(1)
)
_BACK = insert(schema.events)
_FORGET = delete(schema.old_events).where(_o.event == bindparam("digest"))
_FEWER = (
    update(schema.spoke)
    .where(_s.room == bindparam("in"), _s.user == bindparam("by"), _s.messages > 0)
    .values(messages=_s.messages - 1)
)


@dataclass(frozen=True, slots=True)
class OldEvent:
    """An event that leaves the table."""

    record: int
    event: str
    room: RoomId
    user: UserId
    at_ms: int
    kind: str
    stands: bool  # it is a message, and no measure removed it


@dataclass(frozen=True, slots=True)
class LeftEvents:
    """The part of the table of events that was looked through: up to the record `stop`. Messages of `bot` stay."""

    stop: int = 0
    bot: UserId = _NOBODY

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what the value of the deployment says."""
        stop, _, bot = text.partition(" ")
        return cls(int(stop), UserId(bot))

    def __str__(self) -> str:
        return f"{self.stop} {self.bot}"


@dataclass(frozen=True, slots=True)
class Leaving:
    """The events that leave between two records, oldest first."""

    start: int
    stop: int
    bot: UserId
    events: Sequence[OldEvent]


def digest_of(event: str) -> str:
    """Return the digest by which an old event is found.

    PostgreSQL keeps U+FFFD for U+0000, which a server may put into an id of room versions 1 and 2: both are one event.
    """
    kept = event.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(blake2b(kept, digest_size=_BYTES).digest()).decode().rstrip("=")


async def events_left(db: AsyncConnection) -> LeftEvents | None:
    """Return up to where events have left the table; None if none have."""
    text = await get_meta(db, EVENTS_LEFT)
    return LeftEvents.parse(text) if text else None


async def let_events_leave(db: AsyncConnection, leaving: Leaving) -> None:
    """Move events from the table of events to what is kept of old ones."""
    if leaving.events:
        await db.execute(_OLD, [_kept_of(each) for each in leaving.events])
        await db.execute(_SPOKE, _summed(leaving.events))
        await db.execute(_GONE, {"start": leaving.start, "stop": leaving.stop, "bot": leaving.bot})
    await set_meta(db, EVENTS_LEFT, str(LeftEvents(leaving.stop, leaving.bot)))


async def bring_back(db: AsyncConnection, event: EventId, room: RoomId, sender: UserId) -> None:
    """Move an event of somebody, which is evidence of a case in `room`, back to the table of events if it had left."""
    old = (await db.execute(_FIND, {"digest": digest_of(event)})).first()
    if old is None:
        return
    before = await db.scalar(_FORMER, {"room": room, "record": old.record})  # of an upgrade
    kind = old.kind or POSTED
    row = {"record": old.record, "event": event, "room": before or room, "sender": sender, "kind": kind, "at": old.at}
    await db.execute(_BACK, row)
    await db.execute(_FORGET, {"digest": digest_of(event)})
    if old.kind == COUNTED:
        await db.execute(_FEWER, {"in": row["room"], "by": sender})


def _kept_of(each: OldEvent) -> dict[str, object]:
    kind = COUNTED if each.stands else each.kind
    return {"record": each.record, "event": digest_of(each.event), "at": each.at_ms, "kind": kind}


def _summed(events: Iterable[OldEvent]) -> list[dict[str, object]]:
    sums: dict[tuple[RoomId, UserId], tuple[int, int, int]] = {}
    for each in events:
        _, messages, last = sums.get((each.room, each.user), (0, 0, 0))
        sums[each.room, each.user] = each.record, messages + each.stands, max(last, each.at_ms)
    return [
        {"room": room, "user": user, "record": record, "messages": messages, "last": last}
        for (room, user), (record, messages, last) in sums.items()
    ]
