"""Facts folded in memory: the one reducer of the tests of decisions.

`History` (`builders.py`) and `World` (`world.py`) know by it what happened. A property in
`tests/unit/storage/projections/test_project.py` compares it with what the tables hold of the same facts.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from moderation.model.builtin_rules import OVERDUE
from moderation.model.context import CaseView, InForce
from moderation.model.facts import (
    LASTING,
    Appealed,
    Asked,
    AwayChanged,
    CaseAssigned,
    CaseDecided,
    CaseGrew,
    CaseLeft,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    Fact,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    TaskDone,
    TaskOpened,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.values.durations import DAY_MS
from moderation.values.ids import CaseNumber, EventId, PersonId, RoomId, UserId

_OF_CASES = ("rule", "interim", "decision")  # what a measure rests on that a decision of its case takes back


@dataclass
class Row:
    """A case, and its data that are not in its view."""

    view: CaseView
    remind: int = 0
    appealed: int = 0
    asked: list[tuple[UserId, Asked, int]] = field(default_factory=list)  # who, at which level, when


@dataclass
class Folded:
    """The state that the facts so far add up to."""

    facts: list[tuple[int, int, Fact]] = field(default_factory=list)  # index, time, fact
    cases: dict[int, Row] = field(default_factory=dict)
    ledgers: dict[tuple[UserId, str], list[LedgerEntry]] = field(default_factory=dict)
    sanctions: dict[int, InForce] = field(default_factory=dict)  # that last, by record, those that ended too
    ended: dict[int, str] = field(default_factory=dict)
    tasks: dict[int, TaskOpened] = field(default_factory=dict)  # by record, those that wait
    away: dict[UserId, int] = field(default_factory=dict)
    excused: dict[tuple[int, UserId], int] = field(default_factory=dict)  # who was gone at the deadline, and when

    def entries(self, user: UserId, ledger: str) -> tuple[LedgerEntry, ...]:
        return tuple(self.ledgers.get((user, ledger), ()))

    def in_force(self) -> list[InForce]:
        return [sanction for record, sanction in self.sanctions.items() if record not in self.ended]

    def fold(self, index: int, now: int, fact: Fact) -> None:
        """Take in a fact, recorded at `index` and at the time `now`."""
        self.facts.append((index, now, fact))
        match fact:
            case CaseOpened():
                self.cases[fact.n] = _opened(fact, now)
            case CaseGrew():
                view = self.cases[fact.n].view
                self._set(fact.n, events=(*view.events, fact.event), messages=(*view.messages, fact.event))
            case CaseMoved():
                row = self._set(fact.n, state=fact.state, asked=fact.asked, due=fact.due)
                if fact.step != "acknowledged":
                    row.remind = _half_way(now, fact.due) if fact.step == "escalated" else 0
            case CaseAssigned():
                self.cases[fact.n].asked.append((fact.subject, fact.asked, now))
            case CaseLeft():
                self.excused[fact.n, fact.subject] = now
            case CaseDecided():
                self._decided(fact, now)
            case Appealed():
                more: dict[str, Any] = {"appeal": fact.words, "appellants": frozenset({fact.subject})}
                row = self._set(fact.n, state=fact.state, due=fact.due, asked=fact.asked, **more)
                row.appealed, row.remind = now, _half_way(now, fact.due)
            case CreditChanged():
                self.ledgers.setdefault((fact.subject, fact.ledger), []).append(_entry(index, now, fact))
            case SanctionStarted():
                self._started(index, fact, now)
            case SanctionExtended():
                self.sanctions[fact.start] = replace(self.sanctions[fact.start], until=fact.until)
            case SanctionEnded():
                self._ended(fact)
            case TaskOpened():
                self.tasks[index] = fact
            case TaskDone():
                del self.tasks[fact.start]
            case AwayChanged():
                self.away[fact.subject] = fact.until if fact.what == "away" else 0

    def _set(self, n: int, **values: Any) -> Row:
        row = self.cases[n]
        row.view = replace(row.view, **values)
        return row

    def _decided(self, fact: CaseDecided, now: int) -> None:
        decision = {"by": fact.by, "reason": fact.reason, "decided": now}
        row = self._set(fact.n, state=fact.state, outcome=fact.what, due=0, **decision)
        row.remind = 0
        for other in self.cases.values():
            if other.view.about == fact.n and other.view.state == "decided":
                other.view = replace(other.view, due=0)
        about = self.cases.get(row.view.about)
        if fact.state == "affirmed" and row.view.rule == OVERDUE and about is not None and about.view.waits:
            self._set(fact.n, due=now + DAY_MS)

    def _started(self, index: int, fact: SanctionStarted, now: int) -> None:
        if fact.kind in LASTING:
            where = (fact.room, fact.subject, fact.until, fact.basis, fact.n)
            self.sanctions[index] = InForce(index, fact.kind, *where, reach=fact.reach)
        if fact.n in self.cases and fact.basis in _OF_CASES:
            view = self.cases[fact.n].view
            self._set(fact.n, done=view.done | {(fact.kind, fact.event)})
            if fact.kind in ("kick", "ban"):
                self._set(fact.n, removals=view.removals + 1, removed=now)

    def _ended(self, fact: SanctionEnded) -> None:
        self.ended[fact.start] = fact.why
        ended = self.sanctions[fact.start]
        if fact.why == "reversed" and ended.basis in _OF_CASES:
            self._set(ended.n, done=self.cases[ended.n].view.done - {(ended.kind, EventId(""))})


def _opened(fact: CaseOpened, now: int) -> Row:
    decided, events = fact.state == "decided", (fact.event,) if fact.event else ()
    view = CaseView(
        n=CaseNumber(fact.n),
        room=fact.room or RoomId(""),
        subject=fact.subject,
        person=PersonId(fact.subject),
        rule=fact.rule,
        grade=fact.grade,
        decide=fact.decide,
        manages=bool(fact.manages),
        state=fact.state,
        outcome="upheld" if decided else "",
        opened=now,
        asked=fact.asked,
        about=fact.about,
        lead=fact.lead,
        due=fact.due if not decided or fact.rule == OVERDUE else 0,
        decided=now if decided else 0,
        by=fact.by,
        reason=fact.reason,
        excerpt=fact.excerpt,
        events=events,
        messages=events,
        on=fact.on if fact.event else -1,
    )
    return Row(view, remind=0 if decided else _half_way(now, fact.due))


def _half_way(now: int, due: int) -> int:
    return now + (due - now) // 2 if due > now else 0


def _entry(index: int, now: int, fact: CreditChanged) -> LedgerEntry:
    return LedgerEntry(
        id=index,
        person=PersonId(fact.subject),
        at_ms=now,
        entry=fact.entry,
        cost=fact.cost,
        grade=fact.grade if fact.grade != "-" else None,
        rule=fact.rule,
        case=fact.n or None,
        room=fact.room,
        undoes=fact.undoes if fact.undoes >= 0 else None,
        reach=fact.reach,
    )
