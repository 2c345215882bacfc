"""The queue of the console: cases that wait, that somebody decided, or all of them, page by page, with counts.

Rules kept here:
- A reader sees the cases of their rooms only (`QueueFilter.rooms`; None: of all rooms), whatever else is asked for.
- A page is found by an index and begins behind the last row of the one before: no case is shown twice because another
  one was decided meanwhile.
- What people wrote is not read here.

Left to others: which rooms a reader may see, and what they may do.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, or_, select, tuple_, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Asked, CaseState, Outcome
from moderation.policy import Grade
from moderation.values.ids import CaseNumber, GroupCode, RoomId, UserId
from storage import schema
from storage.database.dialect import any_or_one_of, sql_list_param, sql_list_value
from storage.projections import person_of
from storage.schema.case_tables import WAITS

Tab = Literal["waiting", "decided", "all"]  # decided: by the reader, or a measure that the reader took
Facet = Literal["grade", "rule", "state", "asked", "room", "is_mine", "is_reported"]
FACETS: tuple[Facet, ...] = get_args(Facet)


class Cursor(NamedTuple):
    """A place in the order of a tab: behind the case `n`. `at`: when it is due, or was decided."""

    at: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """A filter of a reader; an empty value lets everything through."""

    rooms: Collection[RoomId] | None = None  # those that the reader may see; None: all
    accounts: Collection[UserId] = ()  # all accounts of the reader
    tab: Tab = "waiting"
    grade: str = ""
    rule: str = ""
    state: str = ""
    asked: str = ""
    room: str = ""
    is_mine: bool = False
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A case as a list shows it, without what people wrote."""

    n: CaseNumber
    record: int
    room: RoomId
    code: GroupCode
    subject: UserId
    rule: str
    grade: Grade
    state: CaseState
    outcome: Outcome | Literal[""]
    asked: Asked
    opened: int
    due: int  # 0: nothing more is due
    decided: int  # 0: not yet
    by: UserId
    claimed: UserId
    lead: int
    together: int  # other cases that are decided with it
    reports: int  # people who reported it
    is_mine: bool  # the reader has claimed it, or is asked for it and nobody has claimed it

    @property
    def waits(self) -> bool:
        """Return whether somebody is to decide it."""
        return not self.outcome or self.state == "appealed"

    @property
    def is_reported(self) -> bool:
        """Return whether somebody reported it."""
        return bool(self.reports)


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Some rows in order, and where the next page begins (None: this is the last)."""

    rows: tuple[QueueRow, ...]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The numbers of cases: of a tab for a reader, of those that fit the filter, and of each choice.

    `of[facet][value]`: the cases that fit everything else in the filter and have this value.
    """

    whole: int
    fitting: int
    of: Mapping[Facet, Mapping[Any, int]]


async def queue_page(db: AsyncConnection, wanted: QueueFilter, limit: int, after: Cursor | None = None) -> QueuePage:
    """Return the rows behind `after`: what waits by its deadline, the rest with the newest first."""
    at, n = after or _FIRST[wanted.tab]
    filters: dict[str, Any] = {facet: getattr(wanted, facet) for facet in FACETS}
    filters |= {facet: int(value) for facet, value in filters.items() if isinstance(value, bool)}  # no column has bools
    given = {**_given(wanted), **filters, "at": at, "after": n, "most": limit + 1}
    return _page(await db.execute(_PAGES[wanted.tab], given), wanted.tab, limit)


async def queue_counts(db: AsyncConnection, wanted: QueueFilter) -> QueueCounts:
    """Count the cases of a tab by everything that a filter can ask for."""
    chosen = [(place, value) for place, facet in enumerate(FACETS) if (value := getattr(wanted, facet))]
    of: tuple[Counter[Any], ...] = tuple(Counter() for _ in FACETS)
    whole = fitting = 0
    for *values, cases in await db.execute(_COUNTS[wanted.tab], _given(wanted)):
        whole += cases
        others = [place for place, value in chosen if values[place] != value]
        fitting += 0 if others else cases
        for place in others or range(len(FACETS)):
            of[place][values[place]] += cases if len(others) < 2 else 0
    return QueueCounts(whole, fitting, {facet: +counted for facet, counted in zip(FACETS, of, strict=True)})


async def cases_of_person(
    db: AsyncConnection,
    user: UserId,
    rooms: Collection[RoomId] | None,
    limit: int,
    after: Cursor | None = None,
    accounts: Collection[UserId] = (),
) -> QueuePage:
    """Return the cases about a person in these rooms (None: all), newest first. `accounts`: those of the reader."""
    at, n = after or _FIRST["all"]
    person = await person_of(db, user)
    given = {**_given(QueueFilter(rooms=rooms, accounts=accounts)), "person": person}
    return _page(await db.execute(_OF_PERSON, {**given, "at": at, "after": n, "most": limit + 1}), "all", limit)


def _given(wanted: QueueFilter) -> dict[str, Any]:
    rooms = None if wanted.rooms is None else sql_list_value(wanted.rooms)
    return {"rooms": rooms, "accounts": sql_list_value(account for account in wanted.accounts if account)}


def _page(found: Iterable[Any], tab: Tab, limit: int) -> QueuePage:
    rows = tuple(QueueRow(**{**row._mapping, "is_mine": bool(row.is_mine)}) for row in found)
    if len(rows) <= limit:
        return QueuePage(rows, None)
    last = rows[limit - 1]
    at = {"waiting": last.due, "decided": last.decided, "all": 0}[tab]
    return QueuePage(rows[:limit], Cursor(at, last.n))


# Each statement is built once. An index finds the cases of a tab in their order. The conditions on rooms and on what is
# wanted look at the rows that are found; their parameters may be empty.

_C = schema.cases.c
_R, _A, _D = schema.reports.c, schema.assignments.c, schema.decisions.c
_LAST = 2**62
_FIRST: Mapping[Tab, Cursor] = {"waiting": Cursor(-1, 0), "decided": Cursor(_LAST, _LAST), "all": Cursor(0, _LAST)}
_VISIBLE = any_or_one_of(_C.room, "rooms")
_ASKED = select(_A.record).where(
    _A.n == _C.n, _A.asked == _C.asked, _A.at >= _C.appealed, sql_list_param(_A.user, "accounts")
)
_IS_MINE = or_(sql_list_param(_C.claimed, "accounts"), and_(_C.claimed == "", WAITS, _ASKED.exists()))
_IS_REPORTED = select(_R.record).where(_R.n == _C.n).exists()
_REPORTS = select(func.count(_R.by.distinct()).filter(_R.by != "") + func.count().filter(_R.by == "")).where(
    _R.n == _C.n
)
_WITH = schema.cases.alias("others")
_TOGETHER = select(func.count()).where(_WITH.c.lead == _C.n, _WITH.c.outcome == "")
_WANTED = (
    *(or_(bindparam(name) == "", _C[name] == bindparam(name)) for name in ("grade", "rule", "state", "asked", "room")),
    or_(bindparam("is_mine") == 0, _IS_MINE),
    or_(bindparam("is_reported") == 0, _IS_REPORTED),
)
_MINE_DECIDED = union(
    select(_D.n).where(sql_list_param(_D.by, "accounts")), select(_C.n).where(sql_list_param(_C.by, "accounts"))
)
_TABS: Mapping[Tab, tuple[ColumnElement[bool], ...]] = {
    "waiting": (WAITS, _C.due >= 0, or_(_C.lead == 0, _C.outcome != "")),  # a case on the card of another waits there
    "decided": (_C.n.in_(_MINE_DECIDED), _C.decided > 0),
    "all": (),
}
_SHOWN = tuple(_C[name] for name in QueueRow.__dataclass_fields__ if name in _C)
_ROWS = select(
    *_SHOWN,
    func.coalesce(schema.rooms.c.code, "").label("code"),
    _TOGETHER.scalar_subquery().label("together"),
    _REPORTS.scalar_subquery().label("reports"),
    _IS_MINE.label("is_mine"),
).select_from(schema.cases.outerjoin(schema.rooms, schema.rooms.c.room == _C.room))
_AT: BindParameter[int] = bindparam("at")
_AFTER: BindParameter[int] = bindparam("after")
_BEHIND: Mapping[Tab, ColumnElement[bool]] = {
    "waiting": tuple_(_C.due, _C.n) > tuple_(_AT, _AFTER),
    "decided": tuple_(_C.decided, _C.n) < tuple_(_AT, _AFTER),
    "all": _C.n < _AFTER,
}
_ORDERS: Mapping[Tab, tuple[ColumnElement[Any], ...]] = {
    "waiting": (_C.due, _C.n),
    "decided": (_C.decided.desc(), _C.n.desc()),
    "all": (_C.n.desc(),),
}


def _behind(tab: Tab) -> Select[Any]:
    return _ROWS.where(_BEHIND[tab], _VISIBLE).order_by(*_ORDERS[tab]).limit(bindparam("most"))


_PAGES: Mapping[Tab, Select[Any]] = {tab: _behind(tab).where(*_TABS[tab], *_WANTED) for tab in get_args(Tab)}
_OF_PERSON = _behind("all").where(_C.person == bindparam("person"), _C.person != "")
_GROUPS = (*(_C[name] for name in FACETS[:5]), _IS_MINE.label("is_mine"), _IS_REPORTED.label("is_reported"))
_COUNTED = select(*_GROUPS, func.count().label("cases")).where(_VISIBLE).group_by(*map(str, FACETS))
_COUNTS: Mapping[Tab, Select[Any]] = {tab: _COUNTED.where(*_TABS[tab]) for tab in get_args(Tab)}
