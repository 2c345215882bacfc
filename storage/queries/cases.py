"""Cases: one case, by card, about a person, waiting, due."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, bindparam, func, literal, or_, select, union, union_all
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import LISTED, LISTED_SERVER
from moderation.model.context import CaseView
from moderation.model.facts import SanctionKind
from moderation.values.ids import CaseNumber, EventId, PersonId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import rows_of, rows_then, value_of
from storage.projections import CASES_FROM, POSTED, get_meta, person_of
from storage.schema.case_tables import WAITS

from .case_assignments import assigned_to
from .linked_accounts import LINKED, accounts_among, accounts_of_all
from .rooms import ACTIVE_GROUP

_c, _s, _v = schema.cases.c, schema.sanctions.c, schema.verifications.c
_NEWEST = select(func.max(_c.n).label("n"))
_CASE = select(schema.cases).where(_c.n == bindparam("n"))
_EVIDENCE = (
    select(schema.evidence, schema.events.c.kind)
    .outerjoin(schema.events, schema.events.c.event == schema.evidence.c.event)
    .where(schema.evidence.c.n == bindparam("n"))
    .order_by(schema.evidence.c.record)
)
_MEASURES = (_s.person == bindparam("person"), _s.n == bindparam("n"))  # for a case
_TAKEN = union(  # the measures taken for a case and not taken back, and all redactions of its messages
    select(_s.kind, _s.event).where(
        *_MEASURES, _s.basis.in_(("rule", "interim", "decision")), _s.why_ended != "reversed"
    ),
    # A message is redacted once, for whatever reason, such as a pace.
    select(_s.kind, _s.event)
    .join(schema.evidence, schema.evidence.c.event == _s.event)
    .where(schema.evidence.c.n == bindparam("n"), _s.kind == "redact"),
)
_ELSEWHERE = (
    select(_s.room)
    .where(*_MEASURES, _s.room.not_in(("", bindparam("room"))), _s.reach == "")
    .group_by(_s.room)
    .order_by(func.min(_s.record))
)
_LISTS = union_all(  # the lists whose entries brought a case, and which server they mean
    *(
        select(each.c.list, each.c.advice, named.label("server"), each.c.record).where(each.c.n == bindparam("n"))
        for each, named in (
            (schema.list_matches, literal("")),
            (schema.listed_servers, schema.listed_servers.c.server),
        )
    )
).order_by("record")
_CREDIT = schema.credit.c
_AFFIRMED = select(schema.decisions.c.record).where(
    schema.decisions.c.n == bindparam("n"), schema.decisions.c.state == "affirmed"
)
_UNDONE = select(_CREDIT.undoes).where(_CREDIT.n == bindparam("n"), _CREDIT.entry == "compensation")
_CHARGED = (
    select(_CREDIT.reach)
    .where(_CREDIT.n == bindparam("n"), _CREDIT.entry == "charge", _CREDIT.cost > 0, _CREDIT.record.not_in(_UNDONE))
    .distinct()
)
_TWO_ROOMS = select(schema.rooms.c.room).where(ACTIVE_GROUP).limit(2)
_TWO_OF_COMMUNITY = _TWO_ROOMS.where(schema.rooms.c.community == bindparam("reach"))
_REPORTED = select(schema.reports.c.record).where(schema.reports.c.n == bindparam("n")).limit(1)
_VOUCHES = select(_v.user, _v.by).where(
    _v.method == "vouch", or_(sql_list_param(_v.user, "some"), sql_list_param(_v.by, "some"))
)
_ORDERED_HERE = select(_s.n).where(  # as `_ELSEWHERE`, seen from one of those rooms
    _s.person == bindparam("person"), _s.room == bindparam("room"), _s.n > 0, _s.reach == ""
)
_CASES_OF = (
    select(schema.cases)
    .where(_c.person == bindparam("person"), or_(_c.room == bindparam("room"), _c.n.in_(_ORDERED_HERE)))
    .order_by(_c.n.desc())
    .limit(bindparam("most"))
)
_DUE = (  # two searches in two indexes: a condition with "or" would read every case
    select(_c.n)
    .where(
        _c.n.in_(
            union(
                select(_c.n).where(_c.due > 0, _c.due <= bindparam("now")),
                select(_c.n).where(_c.remind > 0, _c.remind <= bindparam("now")),
            )
        )
    )
    .order_by(_c.due, _c.n)
    .limit(bindparam("most"))
)
_LED = select(_c.n).where(_c.lead == bindparam("n"), _c.outcome == "").order_by(_c.n)
_ORDERED = select(schema.orders.c.record).where(schema.orders.c.n == bindparam("n"))
_REDACTABLE = frozenset({POSTED, "message", "redact"})  # messages; reactions and the like; events that give a reason


async def case_view(db: AsyncConnection, n: int) -> CaseView | None:
    """Return one case."""
    [found] = await rows_of(db, (_CASE, {"n": n}))
    if not found:
        return None
    row = found[0]
    of_person = {"person": row.person, "n": n}
    events, taken, rooms, linked = await rows_of(
        db, (_EVIDENCE, {"n": n}), (_TAKEN, of_person), (_ELSEWHERE, {**of_person, "room": row.room}), (LINKED, {})
    )
    named = (row.subject, row.by, row.appellant)
    people = accounts_among(linked, named)
    accounts, deciders, appellants = (frozenset(people[user]) if user else frozenset() for user in named)
    case = _case(row, tuple(events), frozenset((measure.kind, EventId(measure.event)) for measure in taken))
    elsewhere = tuple(RoomId(other.room) for other in rooms)
    if row.rule in (LISTED, LISTED_SERVER):
        listed = (await db.execute(_LISTS, {"n": n})).all()
        server = next((each.server for each in listed), "")
        removing = tuple(dict.fromkeys(each.list for each in listed if each.advice == "takedown"))
        case = replace(case, lists=tuple(dict.fromkeys(each.list for each in listed)), server=server)
        case = replace(case, takedowns=removing if row.rule == LISTED else ())
    case = replace(case, accounts=accounts, deciders=deciders, appellants=appellants, elsewhere=elsewhere)
    if row.outcome and row.state != "closed":
        above = bool(elsewhere) or await _is_for_operator(db, n)
        case = replace(case, to_operator=above, friends=await _friends(db, case))
    return case


async def _is_for_operator(db: AsyncConnection, n: int) -> bool:
    """Return whether an appeal was heard before, or the cost of the case counts in several rooms, or in all shards."""
    (affirmed, _, orders), rooms = await rows_then(
        db,
        ((_AFFIRMED, {"n": n}), (_CHARGED, {"n": n}), (_ORDERED, {"n": n})),
        lambda rows: [(_TWO_OF_COMMUNITY if reach else _TWO_ROOMS, {"reach": reach}) for (reach,) in rows[1]],
    )
    return bool(affirmed or orders) or any(len(some) > 1 for some in rooms)


async def _friends(db: AsyncConnection, case: CaseView) -> frozenset[UserId]:
    """Return those whom the deciders vouched for or who vouched for them, except any who were asked to hear it."""
    if not case.deciders:
        return frozenset()
    [vouches] = await rows_of(db, (_VOUCHES, {"some": sql_list_value(sorted(case.deciders))}))
    known = {UserId(user) for row in vouches for user in (row.user, row.by) if user} - case.deciders
    people = await accounts_of_all(db, known) if known else {}
    asked = await assigned_to(db, case.n, case.asked) if known and case.state == "appealed" else ()
    return frozenset(account for accounts in people.values() for account in accounts).difference(asked)


async def case_by_card(db: AsyncConnection, card: EventId) -> int | None:
    """Return the case whose card is this event."""
    if not card:
        return None
    found = await db.scalar(select(schema.cases.c.n).where(schema.cases.c.card == card))
    return int(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class Question:
    """A question that the desk was asked about a case, and the other cases that it covers."""

    n: int
    what: str
    cases: Mapping[int, int]  # with the number of their messages when it was asked


async def question_of(db: AsyncConnection, event: EventId) -> Question | None:
    """Return the question that was asked by this event."""
    q = schema.questions.c
    row = (await db.execute(select(schema.questions).where(q.made == event, q.made != ""))).first()
    if row is None:
        return None
    counted = (each.partition(":") for each in row.cases.split())
    return Question(row.n, row.what, {int(n): int(messages or 0) for n, _, messages in counted})


async def next_case(db: AsyncConnection) -> int:
    """Return the number that the next case gets."""
    least = await get_meta(db, CASES_FROM)
    return max(int(await value_of(db, _NEWEST, {}) or 0) + 1, int(least or 0))


async def records_of_case(db: AsyncConnection, n: int) -> list[int]:
    """Return the records of a case: its opening, evidence, cost and consequences, also in policy lists."""
    found: list[int] = []
    for table in (
        schema.cases,
        schema.evidence,
        schema.credit,
        schema.sanctions,
        schema.assignments,
        schema.case_notes,
        schema.statements,
        schema.reports,
        schema.list_matches,
        schema.listed_servers,
        schema.published_entries,
    ):
        found += await db.scalars(select(table.c.record).where(table.c.n == n))
    return found


async def waiting_cases(db: AsyncConnection, rooms: Sequence[RoomId], limit: int) -> list[CaseView]:
    """Return the cases of these rooms that wait for a decision, the most urgent first, without their evidence."""
    c = schema.cases.c
    rows = await db.execute(
        select(schema.cases)
        .where(c.room.in_(rooms), WAITS, or_(c.lead == 0, c.outcome != ""))
        .order_by(c.due, c.n)
        .limit(limit)
    )
    return [_case(row, ()) for row in rows]


MOST_WAITING = 200  # cases looked through for those that belong together


async def waiting_with(db: AsyncConnection, n: int) -> tuple[CaseView, ...]:
    """Return the undecided cases that are shown on the card of case `n`, oldest first."""
    return await cases_of_query(db, _LED, n=n)


async def cases_of_query(db: AsyncConnection, numbers: Select[Any], **values: object) -> tuple[CaseView, ...]:
    """Return the cases whose numbers a query selects with these values, in its order."""
    found = [await case_view(db, n) for n in await db.scalars(numbers, values)]
    return tuple(each for each in found if each is not None)


async def cases_of(db: AsyncConnection, user: UserId, room: RoomId, limit: int) -> list[CaseView]:
    """Return the cases about somebody in a room, newest first, without their evidence.

    Those of orders that were given in another room and hold here belong to them.
    """
    given = {"person": await person_of(db, user), "room": room, "most": limit}
    rows = await db.execute(_CASES_OF, given)
    return [_case(row, ()) for row in rows]


async def newest_case_of(db: AsyncConnection, user: UserId, until_ms: int = 2**62) -> int:
    """Return the number of the newest case about somebody, opened until then; 0 if there is none."""
    c, person = schema.cases.c, await person_of(db, user)
    return int(await db.scalar(select(func.max(c.n)).where(c.person == person, c.opened <= until_ms)) or 0)


_REMOVALS = (
    _s.person == bindparam("person"),
    _s.n == _c.n,
    _s.room == _c.room,
    _s.kind.in_(("kick", "ban")),
    _s.basis.in_(("rule", "decision")),
)
RECENT = (
    select(
        schema.cases,
        select(func.count()).where(*_REMOVALS).scalar_subquery().label("removals"),
        select(func.coalesce(func.max(_s.at), 0)).where(*_REMOVALS).scalar_subquery().label("removed"),
    )
    .where(_c.person == bindparam("person"), _c.opened >= bindparam("since"))
    .order_by(_c.n)
)


def read_recent(rows: Iterable[Any]) -> dict[tuple[RoomId, str], CaseView]:
    """Return the newest case of each room and rule, without its card: views that are kept do not follow it."""
    return {
        (RoomId(row.room), row.rule): replace(_case(row, ()), card=None, removals=row.removals, removed=row.removed)
        for row in rows
    }


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
        asked=row.asked,
        about=row.about,
        lead=row.lead,
        burst=row.burst,
        due=row.due,
        decided=row.decided,
        by=UserId(row.by),
        reason=row.reason,
        excerpt=row.excerpt,
        card=EventId(row.card) if row.card else None,
        appealed=row.appealed,
        appeal=row.appeal,
        claimed=UserId(row.claimed),
        extended=bool(row.extended),
        events=tuple(EventId(item.event) for item in evidence),
        messages=tuple(EventId(item.event) for item in evidence if item.kind in _REDACTABLE),
        on=evidence[0].record if evidence else -1,
        done=done,
    )


async def due_cases(db: AsyncConnection, now_ms: int, limit: int) -> list[int]:
    """Return the cases for which a reminder or the deadline is due."""
    return list(await db.scalars(_DUE, {"now": now_ms, "most": limit}))


async def closable_cases(db: AsyncConnection, decided_before: int, limit: int) -> Sequence[int]:
    """Return the cases that were decided before a time and are not closed."""
    c = schema.cases.c
    over = (c.decided > 0, c.decided < decided_before, c.state.in_(("decided", "affirmed", "reversed")))
    return list(await db.scalars(select(c.n).where(*over).order_by(c.n).limit(limit)))


async def with_operator(db: AsyncConnection, room: RoomId) -> frozenset[int]:
    """Return the cases of a room that wait for the operator because nobody else decided them."""
    c = schema.cases.c
    return frozenset(await db.scalars(select(c.n).where(c.room == room, c.state == "escalated_operator")))


async def is_reported(db: AsyncConnection, n: int) -> bool:
    """Return whether somebody reported it."""
    return await value_of(db, _REPORTED, {"n": n}) is not None
