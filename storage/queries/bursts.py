"""Bursts of cases: what a room got lately, and what the common card of a burst shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.bursts import BY_LISTS_AND_WAVES, LASTS_MS, Burst, RoomLately
from moderation.model.builtin_rules import OWN_RULES, has_card
from moderation.model.context import CaseView
from moderation.model.facts import SanctionKind
from moderation.policy import Grade, Policy
from moderation.values.ids import CaseNumber, EventId, RoomId
from storage import schema
from storage.database.rows import rows_of
from storage.schema.case_tables import WAITS

from .cases import cases_of_query
from .join_waves import last_wave

_c, _s = schema.cases.c, schema.sanctions.c
_WITHOUT_BURST = frozenset(rule for rule in OWN_RULES if rule not in BY_LISTS_AND_WAVES or not has_card(rule))
_HERE = (_c.room == bindparam("room"), _c.opened >= bindparam("since"))
_NEWEST = select(_c.n, _c.opened).where(*_HERE, _c.burst == _c.n).order_by(_c.n.desc()).limit(1)
_LAST = select(func.max(_c.opened).label("last")).where(_c.burst == bindparam("n"))
_BY_RULES = (_c.rule.not_in(_WITHOUT_BURST), _c.burst == 0, _c.lead == 0, _c.manages == 0)
_ALONE = select(func.count().label("cases")).where(*_HERE, *_BY_RULES)
_SHOWN = select(_c.rule).distinct().where(*_HERE, _c.burst == 0, _c.outcome == "")
_OF = _c.burst == bindparam("n")
_SUMS: tuple[ColumnElement[Any], ...] = (
    func.count().label("cases"),
    func.count(func.nullif(_c.person, "").distinct()).label("people"),  # some are about a server
    func.min(_c.n).label("first"),
    func.max(_c.n).label("last"),
    func.max(_c.opened).label("until"),
    func.sum(case((_c.outcome == "dismissed", 1), else_=0)).label("reversed"),
)
_SUM = select(*_SUMS).where(_OF)
_RULES = (
    select(_c.rule, _c.grade, func.count().label("cases"))
    .where(_OF)
    .group_by(_c.rule, _c.grade)
    .order_by(func.count().desc(), _c.rule)
)
_WAITING = select(_c.n).where(_OF, WAITS).order_by(_c.n)
_DONE = (
    select(
        _s.kind,
        func.count(_s.event.distinct()).label("events"),
        func.count(_s.server.distinct()).label("servers"),
        func.count(_s.person.distinct()).label("people"),
    )
    .join(schema.cases, _c.n == _s.n)
    .where(_OF, _s.n > 0, _s.basis.in_(("rule", "interim", "decision")), _s.why_ended != "reversed")
    .group_by(_s.kind)
)
_FROM = select(_c.n).where(_OF, _c.n >= bindparam("from")).order_by(_c.n).limit(bindparam("most"))


async def room_lately(db: AsyncConnection, room: RoomId, policy: Policy, now_ms: int) -> RoomLately:
    """Return what decides whether the next case of a room has a card of its own."""
    soon = {"room": room, "since": now_ms - policy.reports.together_within}
    lately = {"room": room, "since": now_ms - LASTS_MS}
    newest, ((alone,),), shown = await rows_of(db, (_NEWEST, lately), (_ALONE, soon), (_SHOWN, lately))
    burst = None
    for row in newest:
        last = int(await db.scalar(_LAST, {"n": row.n}) or 0)
        burst = Burst(row.n, row.opened, last)
    rules = frozenset(row.rule for row in shown)
    return RoomLately(burst=burst, alone=alone, wave_ms=await last_wave(db, room), shown=rules)


@dataclass(frozen=True, slots=True)
class BurstView:
    """The present state of a burst."""

    n: CaseNumber
    room: RoomId
    began: int
    until: int  # when its last case was opened
    card: EventId | None
    cases: int
    people: int
    last: int  # the number of its last case
    reversed: int
    rules: tuple[tuple[str, Grade, int], ...]  # with the number of their cases, most first
    waiting: tuple[int, ...]  # the numbers of those that wait for a decision
    done: dict[SanctionKind, int]  # measures in force or done: how many messages, servers, or people


async def burst_view(db: AsyncConnection, n: int) -> BurstView | None:
    """Return the burst that begins with case `n`; None if none does."""
    first = (await db.execute(select(_c.room, _c.opened, _c.burst_card).where(_OF, _c.n == _c.burst), {"n": n})).first()
    if first is None:
        return None
    of = {"n": n}
    (whole,), rules, waiting, done = await rows_of(db, (_SUM, of), (_RULES, of), (_WAITING, of), (_DONE, of))
    return BurstView(
        n=CaseNumber(n),
        room=RoomId(first.room),
        began=first.opened,
        until=whole.until,
        card=EventId(first.burst_card) if first.burst_card else None,
        cases=whole.cases,
        people=whole.people,
        last=whole.last,
        reversed=whole.reversed,
        rules=tuple((rule, grade, count) for rule, grade, count in rules),
        waiting=tuple(row.n for row in waiting),
        done={row.kind: {"redact": row.events, "server": row.servers}.get(row.kind, row.people) for row in done},
    )


async def burst_card(db: AsyncConnection, n: int) -> EventId | None:
    """Return the common card of the burst that begins with case `n`."""
    found = await db.scalar(select(_c.burst_card).where(_c.n == n)) if n else None
    return EventId(found) if found else None


async def burst_by_card(db: AsyncConnection, card: EventId) -> int | None:
    """Return the first case of the burst whose common card is this event."""
    found = await db.scalar(select(_c.n).where(_c.burst_card == card, _c.burst > 0)) if card else None
    return int(found) if found is not None else None


async def bursts_waiting(db: AsyncConnection, room: RoomId) -> list[tuple[CaseNumber, EventId]]:
    """Return the bursts of a room with a card, of which anything waits for a decision, each with its card."""
    waits = select(_c.burst).where(_c.room == room, _c.burst > 0, WAITS)
    rows = await db.execute(select(_c.n, _c.burst_card).where(_c.n.in_(waits), _c.burst_card != "").order_by(_c.n))
    return [(CaseNumber(row.n), EventId(row.burst_card)) for row in rows]


async def cases_of_burst(db: AsyncConnection, burst: int, from_: int, most: int) -> Sequence[CaseView]:
    """Return the cases of a burst from number `from_` on."""
    return await cases_of_query(db, _FROM, n=burst, most=most, **{"from": from_})
