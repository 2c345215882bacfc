"""The statement of reasons for a decision: one object, made with the decision, and kept as it was given.

The fields are those of Article 17(3) of Regulation (EU) 2022/2065 (DSA): the measure with its scope and duration; the
facts, and whether they were found on somebody's report or by the bot itself; whether found and decided automatically;
the rule it rests on; how and until when it can be appealed. The reporters are never named.

Rules kept here:
- A statement is made of facts alone.
- It can be read back from its JSON.

Left to others: the words (`bot/texts/statement.py`), keeping it (`storage/projections/`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from moderation.model.builtin_rules import OWN_RULES, TIER_LINKS
from moderation.model.context import CaseView
from moderation.model.facts import (
    REMOVING,
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    SanctionStarted,
    StatementGiven,
    Swept,
)
from moderation.model.reach import is_one_room
from moderation.policy import Policy
from moderation.values.ids import GroupCode, RoomId

from .appeals import can_be_appealed

FORM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure taken. `until` 0: no end, or an act of one moment."""

    kind: str
    everywhere: bool = False  # in every protected room
    community: str = ""  # in all rooms of this community
    rooms: tuple[str, ...] = ()  # in these rooms by their ids, if not only in that of the case
    until: int = 0
    since: int = 0  # of "sweep", the removal of all that somebody wrote: from this time on
    count: int = 0  # likewise: how many messages were known then


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFinding:
    """A rule's finding: the rule, the kind of text, and the count with its limit."""

    rule: str
    where: str = "-"
    count: int = 0
    limit: int = 0
    matched: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The content of the statement for one decision. Times are milliseconds since 1970; 0 and "" mean none."""

    case: int
    room: str  # group code
    rule: str
    grade: str
    outcome: str  # "": interim, until somebody decides
    decided: int
    on_appeal: bool = False
    found: str = "automatically"  # or "reported", "by-person"
    automatic: bool = False  # decided without a person
    by: str = ""
    reason: str = ""
    about: int = 0  # the case that was neglected or decided wrongly
    event: str = ""
    sent: int = 0
    words: str = ""
    messages: int = 0  # within the incident
    findings: tuple[StatedFinding, ...] = ()
    measures: tuple[Measure, ...] = ()
    ledger: str = ""
    entry: str = ""
    cost: int = 0
    left: int = 0
    appeal_until: int = 0
    form: int = FORM


@dataclass(frozen=True, slots=True)
class StatementContext:
    """Facts known about a case when its statement is made."""

    case: CaseView
    code: GroupCode
    sent: int  # when the first message was received
    reported: bool = False
    policy: Policy = field(default_factory=Policy)


def to_be_stated(facts: Sequence[Fact]) -> tuple[int, ...]:
    """Return the cases for which these facts call for a statement, each once, in order.

    More messages of one incident are not a new decision, unless they bring another measure.
    """
    more = {fact.n for fact in facts if isinstance(fact, SanctionStarted) and fact.kind not in (*REMOVING, "kick")}
    growing = {fact.n for fact in facts if isinstance(fact, CaseGrew)} - more
    numbers = dict.fromkeys(n for fact in facts for n in _numbers(fact))
    return tuple(n for n in numbers if n not in growing)


def _numbers(fact: Fact) -> Iterator[int]:
    match fact:
        case CaseOpened(state="decided") | CaseDecided():
            yield fact.n
        case SanctionStarted() | Swept() | CreditChanged():
            if fact.n:
                yield fact.n


def statement(known: StatementContext, facts: Sequence[Fact]) -> Statement:
    """Return the statement for one case, from the facts of the cause that decided it."""
    case = known.case
    own = [fact for fact in facts if getattr(fact, "n", 0) == case.n]
    entry = next((fact for fact in own if isinstance(fact, CreditChanged)), None)
    return Statement(
        case=case.n,
        room=known.code,
        rule=case.rule,
        grade=case.grade,
        outcome=case.outcome,
        decided=case.decided,
        on_appeal=case.state in ("affirmed", "reversed"),
        found=_found(known),
        automatic=bool(case.outcome) and not case.by,
        by=case.by,
        reason=case.reason,
        about=case.about,
        event=case.events[0] if case.events else "",
        sent=known.sent,
        words=case.excerpt,
        messages=len(case.events),
        findings=tuple(_findings(facts, case)),
        measures=tuple(_measures(own, case)),
        ledger=entry.ledger if entry else "",
        entry=entry.entry if entry else "",
        cost=entry.cost if entry else 0,
        left=entry.left if entry else 0,
        appeal_until=case.decided + known.policy.cases.appeal_within if can_be_appealed(case, known.policy) else 0,
    )


def keep_statement(stated: Statement, known: StatementContext, *, on: int) -> StatementGiven:
    """Return the fact that keeps a statement."""
    case = known.case
    return StatementGiven(room=case.room, on=on, n=case.n, subject=case.subject, statement=to_json(stated))


def _found(known: StatementContext) -> str:
    if known.reported:
        return "reported"
    rule = known.case.rule
    own_doing = rule == "by_order" or (known.case.decide == "manager" and "_" in rule and rule != TIER_LINKS)
    return "by-person" if own_doing else "automatically"


def _findings(facts: Sequence[Fact], case: CaseView) -> Iterator[StatedFinding]:
    """Yield the findings in the message that the case is about; other findings of the same cause do not concern it."""
    causes = {case.on}
    if case.rule not in OWN_RULES:  # of a file: its case may begin after its message
        causes |= {fact.on for fact in facts if isinstance(fact, CaseOpened) and fact.n == case.n}
    for fact in facts:
        if isinstance(fact, Found) and fact.on in causes and fact.subject == case.subject:
            yield StatedFinding(
                rule=fact.rule, where=fact.where, count=fact.count, limit=fact.limit, matched=fact.matched
            )


def _measures(facts: Sequence[Fact], case: CaseView) -> Iterator[Measure]:
    """Yield the measures; one that begins in several rooms at once is one measure."""
    begun = [fact for fact in facts if isinstance(fact, SanctionStarted)]
    in_rooms: dict[tuple[str, int], dict[RoomId, None]] = {}
    for fact in begun:
        if fact.room is not None and not fact.reach:
            in_rooms.setdefault((fact.kind, fact.until), {})[fact.room] = None
    for fact in begun:
        rooms = in_rooms.get((fact.kind, fact.until), {})
        community = "" if is_one_room(fact.reach) else fact.reach
        if fact.room is None or fact.reach or rooms.keys() <= {case.room}:
            yield Measure(kind=fact.kind, everywhere=fact.room is None, community=community, until=fact.until)
        elif fact.room == next(iter(rooms)):
            yield Measure(kind=fact.kind, rooms=tuple(rooms), until=fact.until)
    if sweeps := [fact for fact in facts if isinstance(fact, Swept)]:
        where = tuple(fact.home for fact in sweeps)
        count = sum(fact.count for fact in sweeps)
        yield Measure(kind="sweep", rooms=where if where != (case.room,) else (), since=sweeps[0].since, count=count)


def to_json(stated: Statement) -> str:
    """Return a statement as JSON without its empty fields."""
    plain = {name: value for name, value in asdict(stated).items() if value or name in ("case", "form")}
    for measure in plain.get("measures", ()):
        for name in ("community", "rooms", "since", "count"):  # which older versions did not know
            if not measure[name]:
                del measure[name]
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> Statement | None:
    """Return the statement that `to_json` wrote; None if it was erased."""
    if not text:
        return None
    raw: dict[str, Any] = {"room": "", "rule": "", "grade": "", "outcome": "", "decided": 0, **json.loads(text)}
    raw["findings"] = tuple(StatedFinding(**each) for each in raw.get("findings", ()))
    raw["measures"] = tuple(
        Measure(**{**each, "rooms": tuple(each.get("rooms", ()))}) for each in raw.get("measures", ())
    )
    return Statement(**raw)
