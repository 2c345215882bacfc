"""Figures of a period for a transparency report, as Articles 15 and 24 of Regulation (EU) 2022/2065 (DSA) ask for them.

Rules kept here:
- A case belongs to the period in which it was opened, a measure to the one in which it began, a notice, a complaint and
  a decision to the one in which they came.
- Cases about the duties of people who run rooms are left out: they restrict nobody.
- Nobody is named, and what somebody had erased still counts.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import BY_ORDER, OUTSIDE, OWN_RULES, REPORTED, TIER_LINKS
from moderation.values.ids import RoomId
from storage import schema
from storage.database.dialect import any_or_one_of, sql_list_value

DUTIES = tuple(sorted(name for name, rule in OWN_RULES.items() if rule.ledger == "standing"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """The cases of one rule. What it decided alone is apart from what it left to people."""

    rule: str
    alone: int = 0
    alone_reversed: int = 0
    upheld: int = 0
    dismissed: int = 0
    waiting: int = 0

    @property
    def cases(self) -> int:
        """Return how many there were."""
        return self.alone + self.upheld + self.dismissed + self.waiting

    @property
    def error_rate(self) -> float | None:
        """Return which share of its own decisions people reversed; None if it decided nothing alone."""
        return self.alone_reversed / self.alone if self.alone else None

    @property
    def precision(self) -> float | None:
        """Return which share of its decided cases are upheld now; None if there are none."""
        decided = self.alone + self.upheld + self.dismissed
        return (decided - self.alone_reversed - self.dismissed) / decided if decided else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransparencyFigures:
    """The figures of a period. Times are milliseconds, None if there is nothing to take a median of."""

    notices: Mapping[str, int]  # by the way in which they came
    found: Mapping[str, int]  # cases: reported, automatically, by-person
    alone: int  # of the cases, those that a rule decided without a person
    restrictions: Mapping[str, int]  # measures that rest on a case, by kind
    statements: int
    complaints: Mapping[str, int]  # by: person (whom the case concerns), reporter
    answers: Mapping[str, int]  # affirmed, reversed
    until_decided: int | None  # from the opening of a case that waited for a person
    until_notice_decided: int | None  # from the first notice
    until_answered: int | None  # from a complaint
    rules: tuple[RuleFigures, ...]


async def transparency_figures(
    db: AsyncConnection, since_ms: int, until_ms: int, rooms: Collection[RoomId] | None = None
) -> TransparencyFigures:
    """Return the figures from `since_ms` to before `until_ms`, of these rooms (None: all)."""
    given = {"since": since_ms, "until": until_ms, "rooms": None if rooms is None else sql_list_value(rooms)}

    async def counted(statement: Select[Any]) -> dict[str, int]:
        return {str(what): int(count) for what, count in await db.execute(statement, given)}

    async def middle(statement: Select[Any]) -> int | None:
        times = list(await db.scalars(statement, given))
        return round(median(times)) if times else None

    rules = tuple(await db.execute(_RULES, given))
    return TransparencyFigures(
        notices=await counted(_NOTICES),
        found=await counted(_FOUND),
        alone=sum(row.cases for row in rules if row.alone),
        restrictions=await counted(_RESTRICTIONS),
        statements=int(await db.scalar(_STATEMENTS, given) or 0),
        complaints=await counted(_COMPLAINTS),
        answers=await counted(_ANSWERS),
        until_decided=await middle(_DECIDED_AFTER),
        until_notice_decided=await middle(_NOTICE_DECIDED_AFTER),
        until_answered=await middle(_ANSWERED_AFTER),
        rules=_by_rule(rules),
    )


async def rule_figures(
    db: AsyncConnection, since_ms: int, until_ms: int, rooms: Collection[RoomId] | None = None
) -> tuple[RuleFigures, ...]:
    """Return the figures of each rule alone, those with the most cases first."""
    given = {"since": since_ms, "until": until_ms, "rooms": None if rooms is None else sql_list_value(rooms)}
    return _by_rule(await db.execute(_RULES, given))


def _by_rule(rows: Iterable[Any]) -> tuple[RuleFigures, ...]:
    found: dict[str, Counter[str]] = {}
    for row in rows:
        counts = found.setdefault(row.rule, Counter())
        if row.alone:
            counts["alone"] += row.cases
            counts["alone_reversed"] += row.cases if row.outcome == "dismissed" else 0
        else:
            counts[row.outcome or "waiting"] += row.cases
    figures = (RuleFigures(rule=rule, **counts) for rule, counts in found.items())
    return tuple(sorted(figures, key=lambda each: (-each.cases, each.rule)))


_C, _R, _D, _S, _M = (
    table.c for table in (schema.cases, schema.reports, schema.decisions, schema.case_steps, schema.sanctions)
)


def _within(at: Any) -> Any:
    return and_(at >= bindparam("since"), at < bindparam("until"))


_OF_PEOPLE = and_(_C.rule.not_in(DUTIES), any_or_one_of(_C.room, "rooms"))
_OPENED = select(_S.by, _S.state).where(_S.n == _C.n, _S.step == "opened")
_ALONE = _OPENED.where(_S.state == "decided", _S.by == "").exists()
_REPORTED = select(_R.record).where(_R.n == _C.n).exists()
_BY_PERSON = or_(
    _C.rule == BY_ORDER, and_(_C.decide == "manager", _C.rule.contains("_", autoescape=True), _C.rule != TIER_LINKS)
)
_HOW_FOUND = case((_REPORTED, "reported"), (_BY_PERSON, "by-person"), else_="automatically")
_RULES = (
    select(_C.rule, _C.outcome, _ALONE.label("alone"), func.count().label("cases"))
    .where(_within(_C.opened), _OF_PEOPLE, ~_BY_PERSON, _C.rule.not_in((REPORTED, OUTSIDE)))
    .group_by(_C.rule, _C.outcome, "alone")
)
_FOUND = select(_HOW_FOUND, func.count()).where(_within(_C.opened), _OF_PEOPLE).group_by(_HOW_FOUND)


def _of_cases(table: Any, *columns: Any) -> Select[Any]:
    """Select from rows that belong to a case about people, in the period."""
    return (
        select(*columns).select_from(table.join(schema.cases, _C.n == table.c.n)).where(_within(table.c.at), _OF_PEOPLE)
    )


_NOTICES = _of_cases(schema.reports, _R.channel, func.count()).group_by(_R.channel)
_RESTRICTIONS = _of_cases(schema.sanctions, _M.kind, func.count()).group_by(_M.kind)
_STATEMENTS = _of_cases(schema.case_steps, func.count()).where(_S.step == "stated")
_WHOSE = case((_S.what == "report", "reporter"), else_="person")
_COMPLAINTS = _of_cases(schema.case_steps, _WHOSE, func.count()).where(_S.step == "lodged").group_by(_WHOSE)
_ANSWERS = _of_cases(schema.decisions, _D.state, func.count()).where(_D.state != "decided").group_by(_D.state)
_BEFORE = schema.decisions.alias("before")
_IS_FIRST = ~select(_BEFORE.c.record).where(_BEFORE.c.n == _D.n, _BEFORE.c.record < _D.record).exists()
_FIRST_REPORT = select(func.min(_R.at)).where(_R.n == _D.n, _R.at <= _D.at).scalar_subquery()
_LODGED = select(func.max(_S.at)).where(_S.n == _D.n, _S.step == "lodged", _S.record < _D.record).scalar_subquery()
_DECIDED_AFTER = _of_cases(schema.decisions, _D.at - _C.opened).where(_IS_FIRST, ~_ALONE)
_NOTICE_DECIDED_AFTER = _of_cases(schema.decisions, _D.at - _FIRST_REPORT).where(_IS_FIRST, _FIRST_REPORT.is_not(None))
_ANSWERED_AFTER = _of_cases(schema.decisions, _D.at - _LODGED).where(_D.state != "decided", _LODGED.is_not(None))
