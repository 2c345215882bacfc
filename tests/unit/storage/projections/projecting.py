"""Facts and events of a room, and what the tables have of them."""

from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive
from moderation.model.context import CaseView, PersonView
from moderation.model.facts import (
    CaseOpened,
    Fact,
    RoomEntered,
    SanctionStarted,
)
from moderation.values.events import Received
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import queries
from storage.projections import project
from tests.unit.moderation.builders import (
    ANNA,
    HOUR,
    NOON,
    OLGA,
    ROOM,
)

CODE, DESK_CODE = GroupCode("G-7F3K"), GroupCode("G-DESK")
DESK, DIRECT, SPACE = RoomId("!desk"), RoomId("!direct"), RoomId("!space")
ENTERED = RoomEntered(code=CODE, purpose="group", room_id=ROOM, via="example.org", subject=OLGA)
OPENED = CaseOpened(
    room=ROOM,
    on=4,
    n=1,
    rule="spam",
    grade="minor",
    decide="manager",
    state="open",
    due=NOON + HOUR,
    subject=ANNA,
    event=EventId("$said"),
    excerpt="spam!",
)
MUTE = SanctionStarted(room=ROOM, on=4, kind="mute", until=NOON + HOUR, n=1, basis="interim", rule="spam", subject=ANNA)


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10, at: int = NOON) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, at)


async def rows(db: AsyncConnection, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    names = columns or tuple(column.name for column in table.c)
    found = await db.execute(select(*(table.c[name] for name in names)).order_by(*table.primary_key.columns))
    return [tuple(row) for row in found]


def received(
    kind: str, content: dict[str, Any], *, key: str | None = None, sender: str = ANNA, event: str = "$e"
) -> Received:
    raw = {"event_id": event, "sender": sender, "origin_server_ts": 1, "type": kind, "content": content}
    return receive(raw if key is None else {**raw, "state_key": key}, ROOM, NOON)


async def person(db: AsyncConnection, user: UserId = ANNA, now: int = NOON) -> PersonView:
    return await queries.person_view(db, user, now_ms=now, recent_since=0)


async def the_case(db: AsyncConnection) -> CaseView:
    found = await queries.case_view(db, 1)
    assert found is not None
    return found
