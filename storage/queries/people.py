"""People: their rooms and roles, what counts for or against them, and their language.

A statement that every message may need is built once, with parameters: building one takes longer than running it.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.manager_orders import Vouched
from moderation.model.context import CaseView, PersonView
from moderation.values.ids import PersonId, RoomId, UserId
from moderation.values.power_levels import Role
from storage import schema
from storage.database.dialect import each_of, sql_list, sql_list_param, sql_list_value
from storage.database.rows import Asked, Rows, rows_of, rows_then, value_of
from storage.projections import JOINED, PERSON

from .case_assignments import assigned_to
from .cases import RECENT, read_recent
from .ledgers import ENTRIES, entries_where, read_entries
from .linked_accounts import LINKED, accounts_among
from .rooms import ACTIVE_GROUP, groups_with
from .sanctions import AGAINST, read_in_force, sanctions_of_accounts
from .verification import PROOFS, SINCE, TOLD, counting_in, read_came, read_joined, read_proofs, read_since, read_told

_m = schema.members.c
_WHERE = select(_m.room, _m.membership).where(_m.user == bindparam("user"))
_ROLES = select(_m.user, _m.role).where(_m.room == bindparam("room"), _m.role != "member")
_THERE = select(_m.user, _m.membership).where(_m.room == bindparam("room"))
_NAMES = select(_m.room, _m.user, _m.display_name).where(
    sql_list_param(_m.user, "users"), sql_list_param(_m.room, "rooms")
)
_SOME_THERE = _THERE.where(sql_list_param(_m.user, "among"))


async def groups_of(db: AsyncConnection, user: UserId, *, joined: bool = False) -> tuple[RoomId, ...]:
    """Return the active groups somebody is known in; with `joined` only those they are in now."""
    return await groups_with(db, [user], joined=joined)


async def memberships_of(db: AsyncConnection, user: UserId) -> dict[RoomId, str]:
    """Return the rooms somebody is or was in, with their membership."""
    [rows] = await rows_of(db, (_WHERE, {"user": user}))
    return dict(rows)


async def rooms_ever_in(db: AsyncConnection, user: UserId) -> frozenset[RoomId]:
    """Return the rooms that somebody has ever been in."""
    m = schema.members.c
    return frozenset(await db.scalars(select(m.room).where(m.user == user, or_(m.since > 0, m.membership == "join"))))


async def memberships(db: AsyncConnection, room: RoomId, among: Collection[UserId] | None = None) -> dict[UserId, str]:
    """Return everybody who is or was in a room, or those of them who are `among` some people, with their membership."""
    [rows] = await rows_of(db, asking_who_is_there(room, among))
    return dict(rows)


def asking_who_is_there(room: RoomId, among: Collection[UserId] | None = None) -> Asked:
    """Return the question that `memberships` asks."""
    if among is None:
        return _THERE, {"room": room}
    return _SOME_THERE, {"room": room, "among": sql_list_value(sorted(among))}


async def is_or_was_in(db: AsyncConnection, room: RoomId, user: UserId, since_ms: int) -> bool:
    """Return whether somebody is in a room, or said or did something there since `since_ms`."""
    e, m, s = schema.events.c, schema.members.c, schema.spoke.c
    there = select(m.user).where(m.room == room, m.user == user, m.membership == "join")
    seen = select(e.record).where(e.room == room, e.sender == user, e.at >= since_ms)
    before = select(s.record).where(s.room == room, s.user == user, s.last >= since_ms)
    return bool(await db.scalar(select(or_(there.exists(), seen.exists(), before.exists()))))


async def rooms_knowing(
    db: AsyncConnection, user: UserId, rooms: Collection[RoomId], since_ms: int
) -> frozenset[RoomId]:
    """Return those of `rooms` that somebody is in, or said or did something in since `since_ms`."""
    given = {"rooms": sql_list_value(sorted(rooms)), "user": user, "since": since_ms}
    return frozenset(await db.scalars(_KNOWING, given))


async def display_name(db: AsyncConnection, room: RoomId, user: UserId) -> str:
    """Return the name that somebody has or had in a room; "" if there is none."""
    m = schema.members.c
    return str(await db.scalar(select(m.display_name).where(m.room == room, m.user == user)) or "")


async def display_names(db: AsyncConnection, users: Iterable[str], rooms: Sequence[str]) -> dict[str, str]:
    """Return the names that people have or had in these rooms; the first room in which they have one counts."""
    wanted = tuple(users)
    if not wanted or not rooms:
        return {}
    [rows] = await rows_of(db, (_NAMES, {"users": sql_list_value(wanted), "rooms": sql_list_value(rooms)}))
    found = sorted(rows, key=lambda row: -rooms.index(row.room))
    return {row.user: row.display_name for row in found if row.display_name}


async def names_in(db: AsyncConnection, room: RoomId) -> dict[UserId, str]:
    """Return everybody who is or was in a room, with the name they have or had there."""
    m = schema.members.c
    return dict((await db.execute(select(m.user, m.display_name).where(m.room == room))).all())


async def came_after_us(db: AsyncConnection, room: RoomId, user: UserId) -> bool:
    """Return whether somebody was in no way a member of a room, now or earlier, when the bot began to record it."""
    m, r = schema.members.c, schema.rooms.c
    met = select(m.seen).join(schema.rooms, r.room == m.room).where(m.room == room, m.user == user)
    return await db.scalar(met.where(r.begun > 0, m.seen > r.begun)) is not None


async def records_of_names(db: AsyncConnection, room: RoomId, since_ms: int, limit: int) -> list[int]:
    """Return the records of the names borne in a room since a time, at most `limit`.

    Of those who changed their name or came since then, these are all since then and the one before.
    """
    e, m = schema.events.c, schema.members.c
    theirs = (e.room == m.room) & (e.sender == m.user) & (e.at >= since_ms)
    changed = select(e.record, e.sender).select_from(schema.members.join(schema.events, theirs))
    new = (await db.execute(changed.where(m.room == room, e.kind == JOINED).limit(limit))).all()
    people = {row.sender for row in new}
    if not people:
        return []
    before = select(func.max(e.record)).where(e.room == room, e.kind == JOINED, e.at < since_ms)
    old = await db.scalars(before.where(sql_list(e.sender, tuple(people))).group_by(e.sender))
    return [*(row.record for row in new), *old]


async def joined_of(db: AsyncConnection, room: RoomId, users: Sequence[UserId]) -> tuple[UserId, ...]:
    """Return those of `users` who are in the room now."""
    there = await memberships(db, room)
    return tuple(user for user in users if there.get(user) == "join")


async def rung_for(db: AsyncConnection, case: CaseView, desk: RoomId) -> tuple[UserId, ...]:
    """Return those in the desk who are rung for a case: the one who has taken it, else all who are responsible."""
    taken = await joined_of(db, desk, (case.claimed,)) if case.claimed else ()
    return taken or await joined_of(db, desk, await assigned_to(db, case.n, case.asked))


async def roles(db: AsyncConnection, room: RoomId) -> dict[UserId, Role]:
    """Return who was owner or manager of a room when it was last checked."""
    [rows] = await rows_of(db, (_ROLES, {"room": room}))
    return dict(rows)


async def person_view(db: AsyncConnection, user: UserId, *, now_ms: int, recent_since: int) -> PersonView:
    """Return a person and all that counts for or against them, by any of their accounts."""

    def identity(found: Sequence[Rows]) -> tuple[PersonId, frozenset[UserId]]:
        named, linked = found
        return PersonId(named[0].person if named else user), frozenset(accounts_among(linked, [user])[user])

    def about_them(found: Sequence[Rows]) -> Sequence[Asked]:
        person, accounts = identity(found)
        them, one = {"person": person}, {"user": user}
        return (
            (ENTRIES, {**them, "ledger": "credit"}),
            (ENTRIES, {**them, "ledger": "standing"}),
            (AGAINST, them),
            (_MANAGES, {"users": json.dumps(sorted(accounts))}),
            (RECENT, {**them, "since": recent_since}),
            (_VERIFIED, {**them, "now": now_ms}),
            (_LANGUAGE, one),
            (PROOFS, them),
            (SINCE, one),
            (TOLD, one),
        )

    first, found = await rows_then(db, ((PERSON, {"user": user}), (LINKED, {})), about_them)
    person, accounts = identity(first)
    entries, standing, in_force, runs, cases, [(level,)], language, proofs, since, told = found
    return PersonView(
        user=user,
        person=person,
        accounts=accounts,
        entries=read_entries(entries),
        standing=read_entries(standing),
        in_force=read_in_force(in_force),
        manages=frozenset(RoomId(row.room) for row in runs),
        manages_in=frozenset(row.community for row in runs),
        recent_cases=read_recent(cases),
        verified=level or 0,
        language=language[0].language if language else "",
        proofs=read_proofs(proofs),
        since=read_since(since),
        came=read_came(since),
        joined=read_joined(since),
        told=read_told(told),
    )


async def together(db: AsyncConnection, user: UserId, accounts: frozenset[UserId]) -> PersonView:
    """Return the person that these accounts would be, with the data that says whether they may manage."""
    c, some = schema.credit.c, tuple(sorted(accounts))
    runs = (await db.execute(_MANAGES, {"users": json.dumps(some)})).all()
    return PersonView(
        user=user,
        person=PersonId(user),
        accounts=accounts,
        entries=await entries_where(db, c.user.in_(some), c.ledger == "credit"),
        standing=await entries_where(db, c.user.in_(some), c.ledger == "standing"),
        in_force=await sanctions_of_accounts(db, accounts),
        manages=frozenset(RoomId(row.room) for row in runs),
        manages_in=frozenset(row.community for row in runs),
    )


_ASKED = each_of("rooms").c.value
_E, _M, _P = schema.events.c, schema.members.c, schema.spoke.c
_IN_THEM = select(_M.user).where(_M.room == _ASKED, _M.user == bindparam("user"), _M.membership == "join")
_SEEN = select(_E.record).where(_E.room == _ASKED, _E.sender == bindparam("user"), _E.at >= bindparam("since"))
_SPOKE = select(_P.record).where(_P.room == _ASKED, _P.user == bindparam("user"), _P.last >= bindparam("since"))
_KNOWING = select(_ASKED).where(or_(_IN_THEM.exists(), _SEEN.exists(), _SPOKE.exists()))

_LANGUAGE = select(schema.accounts.c.language).where(schema.accounts.c.user == bindparam("user"))


async def language_of(db: AsyncConnection, user: UserId) -> str:
    """Return the language somebody chose; empty if they chose none."""
    return str(await value_of(db, _LANGUAGE, {"user": user}) or "")


_V = schema.verifications.c
_VERIFIED = select(func.max(_V.level).label("level")).where(
    _V.person == bindparam("person"), _V.revoked == 0, _V.until > bindparam("now")
)


async def vouches_by(db: AsyncConnection, user: UserId, now_ms: int) -> int:
    """Return how many people somebody vouches for now."""
    v = schema.verifications.c
    theirs = (v.by == user, v.method == "vouch", v.revoked == 0, v.until > now_ms)
    return int(await db.scalar(select(func.count()).where(*theirs)) or 0)


async def vouches_for(db: AsyncConnection, user: UserId, now_ms: int) -> tuple[Vouched, ...]:
    """Return the vouches for one account that are in force, oldest first."""
    v = schema.verifications.c
    query = select(v.record, v.room, v.by, v.until, v.reach).where(
        v.user == user, v.method == "vouch", v.revoked == 0, v.until > now_ms
    )
    rows = await db.execute(query.order_by(v.record))
    return tuple(Vouched(*row) for row in rows)


@dataclass(frozen=True, slots=True)
class PersonInRoom:
    """One member of a room, as `who` and `answerable members` show them."""

    user: UserId
    role: str
    verified: int  # level


async def people_of(db: AsyncConnection, room: RoomId, now_ms: int) -> tuple[PersonInRoom, ...]:
    """Return who is in a room, with their roles and their verification as it counts there."""
    m, v = schema.members.c, schema.verifications.c
    in_force = (
        select(v.user, func.max(v.level).label("level"))
        .where(v.revoked == 0, v.until > now_ms, counting_in(room))
        .group_by(v.user)
        .subquery()
    )
    rows = await db.execute(
        select(m.user, m.role, func.coalesce(in_force.c.level, 0).label("level"))
        .outerjoin(in_force, in_force.c.user == m.user)
        .where(m.room == room, m.membership == "join")
        .order_by(m.user)
    )
    return tuple(PersonInRoom(*row) for row in rows)


async def was_asked(db: AsyncConnection, record: int, user: UserId, since_ms: int, what: str) -> bool:
    """Return whether somebody asked for `what` in the request recorded at `record`, not before `since_ms`."""
    r = schema.requests.c
    asked = (r.record == record, r.user == user, r.what == what, r.at >= since_ms)
    return await db.scalar(select(r.record).where(*asked)) is not None


async def has_confirmed(db: AsyncConnection, user: UserId, rooms: Collection[RoomId], since_ms: int) -> bool:
    """Return whether somebody confirmed an order for several rooms in one of these, not before `since_ms`."""
    r = schema.requests.c
    confirmed = sql_list(r.what, [f"everywhere-confirmed {room}" for room in rooms])
    return await db.scalar(select(r.record).where(r.user == user, r.at >= since_ms, confirmed).limit(1)) is not None


async def last_asked(db: AsyncConnection, user: UserId, what: str, since_ms: int) -> int | None:
    """Return when somebody last asked for `what`, not before `since_ms`; None if they did not."""
    r = schema.requests.c
    at = await db.scalar(select(func.max(r.at)).where(r.user == user, r.what == what, r.at >= since_ms))
    return int(at) if at is not None else None


_AMONG = each_of("users").c.value
_MANAGES = (
    select(schema.members.c.room, schema.rooms.c.community)
    .join(schema.rooms, schema.rooms.c.room == schema.members.c.room)
    .where(schema.members.c.user.in_(select(_AMONG)), schema.members.c.role != "member", ACTIVE_GROUP)
)


async def people_met(db: AsyncConnection) -> frozenset[str]:
    """Return the accounts that the bot met in a room, or that have credit, cases or a person."""
    columns = (schema.members.c.user, schema.credit.c.user, schema.cases.c.subject, schema.accounts.c.user)
    return frozenset(await db.scalars(union(*map(select, columns))))


async def everybody(db: AsyncConnection) -> frozenset[str]:
    """Return everybody about whom any table says something."""
    columns = [column for table in schema.metadata.sorted_tables for column in schema.columns_of_people(table)]
    return frozenset(await db.scalars(union(*map(select, columns))))
