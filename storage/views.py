"""Reads what judgement needs to know: rooms, people, cases, each as a frozen value of `moderation/context.py`.

Rules kept here: all reads go through the connection given, so inside the writing transaction they see what has just
been written. Left to others: keeping what was read (`bot/knowledge.py`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, func, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.context import CaseView, InForce, PersonView, RoomView
from moderation.credit import Entry
from moderation.facts import SanctionKind
from moderation.ids import CaseNumber, EventId, GroupCode, PersonId, RoomId, UserId
from moderation.power import Power
from moderation.sanctions import Hold

from . import tables as t
from .project import POSTED, person_of


async def room_view(db: AsyncConnection, room: RoomId, bot: UserId) -> RoomView | None:
    """One room, or None if the bot does not serve it."""
    row = (await db.execute(select(t.rooms).where(t.rooms.c.room == room))).first()
    return await _room(db, row, bot) if row else None


async def room_by_code(db: AsyncConnection, code: str, bot: UserId) -> RoomView | None:
    """The room with a group code."""
    row = (await db.execute(select(t.rooms).where(t.rooms.c.code == code))).first()
    return await _room(db, row, bot) if row else None


async def created_event(db: AsyncConnection, room: RoomId) -> object:
    """The `m.room.create` event of a room, as far as it is kept; None if it is not known."""
    return _json(str(await db.scalar(select(t.rooms.c.created).where(t.rooms.c.room == room)) or ""))


async def desk_of(db: AsyncConnection, code: str) -> RoomId | None:
    """The desk that serves the group with this code."""
    found = await db.scalar(
        select(t.rooms.c.room).where(
            t.rooms.c.purpose == "desk", t.rooms.c.served == code, t.rooms.c.condition != "left"
        )
    )
    return RoomId(found) if found else None


async def direct_room(db: AsyncConnection, user: UserId) -> RoomId | None:
    """The direct room with somebody."""
    found = await db.scalar(
        select(t.rooms.c.room).where(
            t.rooms.c.purpose == "direct", t.rooms.c.direct_with == user, t.rooms.c.condition != "left"
        )
    )
    return RoomId(found) if found else None


async def all_rooms(db: AsyncConnection) -> dict[RoomId, GroupCode]:
    """Every room ever served, and its code."""
    rows = (await db.execute(select(t.rooms.c.room, t.rooms.c.code))).all()
    return {RoomId(row.room): GroupCode(row.code) for row in rows}


async def recording(db: AsyncConnection) -> set[RoomId]:
    """The rooms in which all that is said is recorded now."""
    rows = await db.execute(select(t.rooms.c.room).where(t.rooms.c.condition.in_(("observing", "protected"))))
    return {RoomId(row.room) for row in rows}


async def own_rooms(db: AsyncConnection) -> set[RoomId]:
    """The desks and direct rooms."""
    rows = await db.execute(select(t.rooms.c.room).where(t.rooms.c.purpose != "group"))
    return {RoomId(row.room) for row in rows}


async def notices(db: AsyncConnection) -> dict[RoomId, EventId]:
    """The event that told the members of each group what is recorded."""
    rows = await db.execute(select(t.rooms.c.room, t.rooms.c.notice).where(t.rooms.c.notice != ""))
    return {RoomId(row.room): EventId(row.notice) for row in rows}


async def room_names(db: AsyncConnection) -> dict[str, str]:
    """How each room is called when spoken of: its name and code, or its code alone."""
    rows = (await db.execute(select(t.rooms.c.room, t.rooms.c.code, t.rooms.c.name))).all()
    return {row.room: f"{row.name} ({row.code})" if row.name else row.code for row in rows}


async def active_groups(db: AsyncConnection) -> tuple[RoomId, ...]:
    """The groups that are served now, by the order in which they came."""
    rows = await db.execute(select(t.rooms.c.room).where(_ACTIVE_GROUP).order_by(t.rooms.c.entered))
    return tuple(RoomId(row.room) for row in rows)


_ACTIVE_GROUP = and_(t.rooms.c.purpose == "group", t.rooms.c.condition.in_(("observing", "protected")))


async def groups_of(db: AsyncConnection, user: UserId, *, joined: bool = False) -> tuple[RoomId, ...]:
    """The active groups somebody is known in; with `joined` only those they are in now."""
    query = (
        select(t.members.c.room)
        .join(t.rooms, t.rooms.c.room == t.members.c.room)
        .where(t.members.c.user == user, _ACTIVE_GROUP)
        .order_by(t.rooms.c.entered)
    )
    if joined:
        query = query.where(t.members.c.membership == "join")
    return tuple(RoomId(row.room) for row in await db.execute(query))


async def memberships_of(db: AsyncConnection, user: UserId) -> dict[RoomId, str]:
    """The rooms somebody is or was in, and how."""
    rows = await db.execute(select(t.members.c.room, t.members.c.membership).where(t.members.c.user == user))
    return {RoomId(row.room): row.membership for row in rows}


async def memberships(db: AsyncConnection, room: RoomId) -> dict[UserId, str]:
    """Everybody who is or was in a room, and how."""
    rows = await db.execute(select(t.members.c.user, t.members.c.membership).where(t.members.c.room == room))
    return {UserId(row.user): row.membership for row in rows}


async def roles(db: AsyncConnection, room: RoomId) -> dict[UserId, str]:
    """Who was owner or manager of a room when it was last looked at."""
    rows = await db.execute(
        select(t.members.c.user, t.members.c.role).where(t.members.c.room == room, t.members.c.role != "member")
    )
    return {UserId(row.user): row.role for row in rows}


async def person_view(db: AsyncConnection, user: UserId, *, now_ms: int, recent_since: int) -> PersonView:
    """A person and all that counts for or against them."""
    person = PersonId(await person_of(db, user))
    return PersonView(
        user=user,
        person=person,
        entries=await _entries(db, person),
        in_force=await sanctions_of(db, person),
        manages=await _manages(db, user),
        recent_cases=await _recent_cases(db, person, recent_since),
        verified=await verified_level(db, person, now_ms),
        language=await language_of(db, user),
    )


async def language_of(db: AsyncConnection, user: UserId) -> str:
    """The language somebody chose; empty where they chose none."""
    return str(await db.scalar(select(t.accounts.c.language).where(t.accounts.c.user == user)) or "")


async def verified_level(db: AsyncConnection, person: str, now_ms: int) -> int:
    """The highest level of verification in force."""
    v = t.verifications.c
    level = await db.scalar(select(func.max(v.level)).where(v.person == person, v.revoked == 0, v.until > now_ms))
    return int(level or 0)


async def vouches_by(db: AsyncConnection, user: UserId, now_ms: int) -> int:
    """How many people somebody vouches for now."""
    v = t.verifications.c
    count = await db.scalar(
        select(func.count()).where(v.by == user, v.method == "vouch", v.revoked == 0, v.until > now_ms)
    )
    return int(count or 0)


async def sanctions_of(db: AsyncConnection, person: str) -> tuple[InForce, ...]:
    """The lasting sanctions in force against a person."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions).where(s.person == person, s.ended == 0, s.kind.in_(_LASTING)).order_by(s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def sanctions_in(db: AsyncConnection, room: RoomId) -> tuple[InForce, ...]:
    """The lasting sanctions in force in a room, against anybody."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions)
        .where(or_(s.room == room, s.room == ""), s.ended == 0, s.kind.in_(_LASTING))
        .order_by(s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def sanctions_due(db: AsyncConnection, now_ms: int) -> tuple[InForce, ...]:
    """The lasting sanctions whose time is over."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions)
        .where(s.ended == 0, s.until > 0, s.until <= now_ms, s.kind.in_(_LASTING))
        .order_by(s.until, s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def all_in_force(db: AsyncConnection) -> tuple[InForce, ...]:
    """The lasting sanctions in force against anybody."""
    s = t.sanctions.c
    rows = await db.execute(select(t.sanctions).where(s.ended == 0, s.kind.in_(_LASTING)).order_by(s.record))
    return tuple(_in_force(row) for row in rows)


async def records_of_case(db: AsyncConnection, n: int) -> list[int]:
    """The records of a case: its opening, its evidence, what it cost and what it brought."""
    found: list[int] = []
    for table in (t.cases, t.evidence, t.credit, t.sanctions):
        rows = await db.execute(select(table.c.record).where(table.c.n == n))
        found += [row.record for row in rows]
    return found


async def next_due(db: AsyncConnection) -> int | None:
    """When the next lasting sanction ends, milliseconds since 1970."""
    s = t.sanctions.c
    found = await db.scalar(select(func.min(s.until)).where(s.ended == 0, s.until > 0, s.kind.in_(_LASTING)))
    return int(found) if found is not None else None


async def holds_in(db: AsyncConnection, room: RoomId) -> dict[tuple[UserId, str], Hold]:
    """What the bot holds in a room on account of sanctions."""
    rows = await db.execute(select(t.holds).where(t.holds.c.room == room))
    return {
        (UserId(row.user), row.what): Hold(UserId(row.user), row.what, row.step, row.prior, row.held, row.corrections)
        for row in rows
    }


async def case_view(db: AsyncConnection, n: int) -> tuple[CaseView, Row[tuple[object, ...]]] | None:
    """One case, and its row for all that is only shown."""
    row = (await db.execute(select(t.cases).where(t.cases.c.n == n))).first()
    if row is None:
        return None
    events = await db.execute(
        select(t.evidence, t.events.c.kind)
        .outerjoin(t.events, t.events.c.event == t.evidence.c.event)
        .where(t.evidence.c.n == n)
        .order_by(t.evidence.c.record)
    )
    return _case(row, tuple(events), await _measures_taken(db, row.person, n)), row


async def _measures_taken(db: AsyncConnection, person: str, n: int) -> frozenset[tuple[SanctionKind, EventId]]:
    """The measures taken on account of a case, without those that were taken back."""
    s = t.sanctions.c
    rows = await db.execute(
        select(s.kind, s.event).where(
            s.person == person,
            s.n == n,
            s.basis.in_(("rule", "interim", "decision")),
            s.why_ended != "reversed",
        )
    )
    return frozenset((row.kind, EventId(row.event)) for row in rows)


async def case_by_card(db: AsyncConnection, card: EventId) -> int | None:
    """The case whose card is this event."""
    if not card:
        return None
    found = await db.scalar(select(t.cases.c.n).where(t.cases.c.card == card))
    return int(found) if found is not None else None


async def next_case(db: AsyncConnection) -> int:
    """The number that the next case gets."""
    return int(await db.scalar(select(func.max(t.cases.c.n))) or 0) + 1


async def recent_times(db: AsyncConnection, room: RoomId, sender: UserId, since_ms: int, limit: int) -> list[int]:
    """When somebody posted in a room since a time, oldest first, the newest `limit`."""
    e = t.events.c
    rows = await db.execute(
        select(e.at)
        .where(e.room == room, e.sender == sender, e.at >= since_ms, e.kind == POSTED)
        .order_by(e.at.desc())
        .limit(limit)
    )
    return [row.at for row in rows][::-1]


async def open_cases(db: AsyncConnection, room: RoomId, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    """The cases of a room that wait for a decision, the most pressing first."""
    c = t.cases.c
    rows = await db.execute(select(t.cases).where(c.room == room, c.outcome == "").order_by(c.due, c.n).limit(limit))
    return rows.all()


async def cases_of(db: AsyncConnection, user: UserId, room: RoomId, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    """The cases about somebody in a room, newest first."""
    c = t.cases.c
    person = await person_of(db, user)
    rows = await db.execute(select(t.cases).where(c.person == person, c.room == room).order_by(c.n.desc()).limit(limit))
    return rows.all()


async def newest_case_of(db: AsyncConnection, user: UserId) -> int:
    """The number of the newest case about somebody; 0 if there is none."""
    return int(await db.scalar(select(func.max(t.cases.c.n)).where(t.cases.c.subject == user)) or 0)


@dataclass(frozen=True, slots=True)
class RoomNumbers:
    """How much there is of a room."""

    records: int
    members: int
    open_cases: int


async def room_numbers(db: AsyncConnection, room: RoomId) -> RoomNumbers:
    """How much there is of a room."""

    async def count(table: Table, *where: ColumnElement[bool]) -> int:
        return int(await db.scalar(select(func.count()).select_from(table).where(*where)) or 0)

    return RoomNumbers(
        records=await count(t.events, t.events.c.room == room),
        members=await count(t.members, t.members.c.room == room, t.members.c.membership == "join"),
        open_cases=await count(t.cases, t.cases.c.room == room, t.cases.c.outcome == ""),
    )


@dataclass(frozen=True, slots=True)
class PersonInRoom:
    """One member of a room, as `who` and `answerable members` show them."""

    user: UserId
    role: str
    verified: int  # level


async def people_of(db: AsyncConnection, room: RoomId, now_ms: int) -> tuple[PersonInRoom, ...]:
    """Who is in a room, their roles and their verification."""
    m, v = t.members.c, t.verifications.c
    in_force = (
        select(v.user, func.max(v.level).label("level"))
        .where(v.revoked == 0, v.until > now_ms)
        .group_by(v.user)
        .subquery()
    )
    rows = await db.execute(
        select(m.user, m.role, func.coalesce(in_force.c.level, 0).label("level"))
        .outerjoin(in_force, in_force.c.user == m.user)
        .where(m.room == room, m.membership == "join")
        .order_by(m.user)
    )
    return tuple(PersonInRoom(UserId(row.user), row.role, row.level) for row in rows)


async def erasure_asked(db: AsyncConnection, record: int, user: UserId, since_ms: int) -> bool:
    """Whether somebody asked, in the request recorded at `record` and not before `since_ms`, to be erased."""
    r = t.requests.c
    found = await db.scalar(
        select(r.record).where(r.record == record, r.user == user, r.what == "erase", r.at >= since_ms)
    )
    return found is not None


async def event_row(db: AsyncConnection, event: EventId) -> Row[tuple[object, ...]] | None:
    """Where an event stands in the journal, and whose it is."""
    return (await db.execute(select(t.events).where(t.events.c.event == event))).first()


async def known_events(db: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Which of these events were recorded already."""
    known: set[str] = set()
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        rows = await db.execute(select(t.events.c.event).where(t.events.c.event.in_(some)))
        known.update(row.event for row in rows)
    return known


async def get_meta(db: AsyncConnection, key: str) -> str | None:
    """One remembered value of the deployment."""
    found = await db.scalar(select(t.meta.c.value).where(t.meta.c.key == key))
    return str(found) if found is not None else None


_LASTING = ("mute", "demote", "ban")


async def _room(db: AsyncConnection, row: Row[tuple[object, ...]], bot: UserId) -> RoomView:
    served = None
    if row.served != "-":
        served = await db.scalar(select(t.rooms.c.room).where(t.rooms.c.code == row.served))
    return RoomView(
        room=RoomId(row.room),
        code=GroupCode(row.code),
        purpose=row.purpose,
        condition=row.condition,
        power=Power.of(_json(row.created), _json(row.levels), bot=bot),
        served=RoomId(served) if served else None,
        name=row.name,
        language=row.language,
        notice=EventId(row.notice) if row.notice else None,
    )


def _json(text: str) -> object:
    return json.loads(text) if text else None


async def _entries(db: AsyncConnection, person: str) -> tuple[Entry, ...]:
    rows = await db.execute(select(t.credit).where(t.credit.c.person == person).order_by(t.credit.c.record))
    return tuple(
        Entry(
            id=row.record,
            person=PersonId(row.person),
            at_ms=row.at,
            entry=row.entry,
            cost=row.cost,
            grade=row.grade,
            rule=row.rule,
            case=row.n or None,
            room=RoomId(row.room) if row.room else None,
            undoes=row.undoes if row.undoes >= 0 else None,
        )
        for row in rows
    )


async def _manages(db: AsyncConnection, user: UserId) -> frozenset[RoomId]:
    m = t.members.c
    rows = await db.execute(
        select(m.room).join(t.rooms, t.rooms.c.room == m.room).where(m.user == user, m.role != "member", _ACTIVE_GROUP)
    )
    return frozenset(RoomId(row.room) for row in rows)


async def _recent_cases(db: AsyncConnection, person: str, since: int) -> dict[tuple[RoomId, str], CaseView]:
    c = t.cases.c
    rows = await db.execute(select(t.cases).where(c.person == person, c.opened >= since).order_by(c.n))
    return {(RoomId(row.room), row.rule): _case(row, ()) for row in rows}


def _in_force(row: Row[tuple[object, ...]]) -> InForce:
    return InForce(
        record=row.record,
        kind=row.kind,
        room=RoomId(row.room) if row.room else None,
        subject=UserId(row.subject),
        until=row.until,
        basis=row.basis,
        n=row.n,
    )


def _case(
    row: Row[tuple[object, ...]],
    evidence: Sequence[Row[tuple[object, ...]]],
    done: frozenset[tuple[SanctionKind, EventId]] = frozenset(),
) -> CaseView:
    return CaseView(
        n=CaseNumber(row.n),
        room=RoomId(row.room),
        subject=UserId(row.subject),
        person=PersonId(row.person),
        rule=row.rule,
        grade=row.grade,
        decide=row.decide,
        manages=bool(row.manages),
        state=row.state,
        outcome=row.outcome,
        opened=row.opened,
        events=tuple(EventId(item.event) for item in evidence if item.event),
        messages=tuple(EventId(item.event) for item in evidence if item.event and item.kind == POSTED),
        on=evidence[0].record if evidence else -1,
        done=done,
    )
