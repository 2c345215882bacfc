"""Rules that hold of every fact about the small room, and of the room between facts."""

from collections.abc import Iterable, Sequence
from typing import Any

from moderation.cases.lifecycle import TRANSITIONS
from moderation.cases.statements import StatementContext, from_json, statement, to_be_stated, to_json
from moderation.credit.credit import balance, entries_in_force
from moderation.credit.ledger import LEDGERS, settings_of
from moderation.duty.duty import can_act
from moderation.model.builtin_rules import OVERDUE, decided_by
from moderation.model.context import CaseView
from moderation.model.facts import (
    Appealed,
    Asked,
    CaseAssigned,
    CaseDecided,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    Fact,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    TaskOpened,
)
from moderation.values.ids import UserId
from tests.unit.moderation.builders import CODE, DAY, ROOM
from tests.unit.moderation.known_room import KnownRoom, power_of

# The step of the table that each step of a case without a decision is; None: it stays what it is.
MOVES: dict[str, tuple[str | None, ...]] = {
    "acknowledged": ("acknowledge",),
    "reminded": (None,),
    "stopped": (None,),
    "overdue": ("pass_deadline", None),
    "escalated": ("escalate_to_owner", "escalate_to_operator", "pass_deadline"),
    "closed": ("close",),
}
DECISIONS = {
    "decided": ("uphold", "dismiss", "reconsider"),
    "affirmed": ("affirm",),
    "reversed": ("reverse",),
}


class CheckedRoom(KnownRoom):
    """A room whose facts are checked as they are folded."""

    def _fold(self, index: int, fact: Fact) -> None:
        """Take in a fact, and check what must hold of it before and after."""
        before = self.cases[fact.n].view.state if isinstance(fact, CaseMoved | CaseDecided | Appealed) else None
        self._may_come(fact)
        self.folded.fold(index, self.now, fact)
        match fact:
            case CaseMoved():
                self._steps(before, fact, MOVES[fact.step])
            case CaseDecided():
                self._steps(before, fact, DECISIONS[fact.state])
            case Appealed():
                self._steps(before, fact, ("appeal",))
            case CreditChanged():
                assert self.points(fact.subject, fact.ledger) == fact.left, "the balance is what was said"

    def _may_come(self, fact: Fact) -> None:
        match fact:
            case CaseOpened():
                self._may_open(fact)
            case CaseAssigned():
                self._may_be_assigned(fact)
            case CaseDecided():
                self._may_decide(fact)
            case CreditChanged():
                self._may_be_charged(fact)
            case SanctionExtended() | SanctionEnded():
                lasts = {each.record for each in self.in_force()}
                assert fact.start in lasts, "what is over does not last longer, nor end again"
            case TaskOpened():
                assert fact.task != "case" or not self._tasks_about([fact.n]), "nobody is asked twice at once"

    @staticmethod
    def _steps(before: Any, fact: CaseMoved | CaseDecided | Appealed, names: Iterable[str | None]) -> None:
        """Check that a change of a case's state is in the table."""
        after = {before if name is None else TRANSITIONS.get((before, name)) for name in names}  # type: ignore[arg-type]
        assert fact.state in after, (fact, before, tuple(names))

    def _may_open(self, fact: CaseOpened) -> None:
        assert fact.n == self.next_case, "numbers follow one another"
        if fact.rule == OVERDUE:
            about = self.cases[fact.about]
            asked = {
                user for user, _, _ in about.asked
            }  # at whichever level: who came back was asked before it went up
            assert fact.subject in asked, "only who was asked is late"
            assert self._left_late(fact.subject, about.view) or fact.subject in can_act(self.duty()), (
                "whoever cannot act is not charged, unless they went when half the time was over"
            )
            assert fact.subject not in (about.view.subject, about.view.by if about.view.outcome else "")

    def _may_be_assigned(self, fact: CaseAssigned) -> None:
        row = self.cases[fact.n]
        assert fact.subject != row.view.subject, "nobody is asked about themselves"
        if row.view.state == "appealed":
            assert fact.subject != row.view.by or fact.subject in self.policy.operators, (
                "nobody is asked about their own decision"
            )
        assert fact.asked == "operator" or fact.subject not in self.duty().away, "whoever is away is not asked"
        assert fact.asked == row.view.asked and fact.subject not in self.assigned(fact.n), "each is asked once"

    def _left_late(self, user: UserId, case: CaseView) -> bool:
        gone = self.gone.get((case.n, user))
        return (
            gone is not None and gone.own and gone.at_ms >= case.due - self.policy.cases.deadlines.of(case.grade) // 2
        )

    def _may_decide(self, fact: CaseDecided) -> None:
        view = self.cases[fact.n].view
        assert fact.by != view.subject, "nobody decides about themselves"
        if view.state == "appealed":
            assert fact.by != view.by or fact.by in self.policy.operators, "nor an appeal against their own decision"

    def _may_be_charged(self, fact: CreditChanged) -> None:
        if fact.rule == OVERDUE and fact.entry == "charge" and self.cases[fact.n].view.decide == "auto":
            decided_now = self.cases[fact.n].view.decided == self.now
            assert decided_now or fact.subject in can_act(self.duty()), "whoever cannot act is not charged on"

    def _somebody_is_left(self, before: frozenset[UserId], facts: Sequence[Fact]) -> None:
        """Check that the last person who can act is demoted only if the operator is asked to substitute."""
        demoted = any(isinstance(fact, SanctionStarted) and fact.kind == "demote" for fact in facts)
        if demoted and before and not can_act(self.duty()):
            asked = [fact for fact in facts if isinstance(fact, TaskOpened) and fact.task == "last-manager"]
            assert [task.room for task in asked] == [ROOM], "a room is never left alone unsaid"

    def _stated(self, facts: Sequence[Fact]) -> None:
        """Check that every decision is stated once, and can be read back."""
        numbers = to_be_stated(facts)
        decided = [
            f.n for f in facts if isinstance(f, CaseDecided) or (isinstance(f, CaseOpened) and f.state != "open")
        ]
        assert sorted(numbers) == sorted(set(numbers)) and set(decided) <= set(numbers)
        for n in numbers:
            row = self.cases[n]
            known = StatementContext(row.view, CODE, self.now, policy=self.policy)
            stated = statement(known, facts)
            assert from_json(to_json(stated)) == stated
            assert {finding.rule for finding in stated.findings} <= {row.view.rule}, "nothing of other cases is said"

    def check(self) -> None:
        self._check_waiting()
        self._check_neglect()
        self._check_undone()
        self._check_rights()
        if any(each.basis == "neglect" and each.kind in ("rectify", "suspend") for each in self.measures()):
            assert self.with_operator(), "a room bears neglect only while cases wait"

    def _check_waiting(self) -> None:
        """Check that every waiting case has somebody responsible, and a deadline."""
        for n, row in self.cases.items():
            if row.view.outcome and row.view.state != "appealed":
                assert not row.remind and (not row.view.due or row.view.rule == OVERDUE)
                continue
            assert row.view.due > self.now, (n, row)
            assert row.view.asked == "operator" or self.assigned(n), (n, row)
            assert self._height(row.view.asked) >= self._height(decided_by(row.view.rule))

    @staticmethod
    def _height(asked: Asked) -> int:
        return ("managers", "owner", "operator").index(asked)

    def _check_neglect(self) -> None:
        """Check that one neglected case costs a person no more than the maximum."""
        for user in self.people:
            counted = entries_in_force(self.entries(user, "standing"))
            spent: dict[int, int] = {}
            for entry in counted:
                if entry.rule == OVERDUE:
                    about = self.cases[entry.case or 0].view.about
                    spent[about] = spent.get(about, 0) + entry.cost
            assert all(cost <= self.policy.standing.overdue_at_most for cost in spent.values()), spent

    def _check_undone(self) -> None:
        """Check that a dismissed or reversed case has no effect."""
        gone = {n for n, row in self.cases.items() if row.view.outcome == "dismissed"}
        for user in self.people:
            for ledger in LEDGERS:
                entries, settings = self.entries(user, ledger), settings_of(ledger, self.policy)
                without = [entry for entry in entries if entry.case not in gone]
                for later in (0, 10 * DAY):
                    assert balance(entries, self.now + later, settings) == balance(without, self.now + later, settings)
        resting = [each for each in self.in_force() if each.n in gone and each.basis not in LEDGERS]
        assert resting == []

    def _check_rights(self) -> None:
        """Check that rights are suspended exactly if charges that were not reversed make a ledger too low."""
        for user in self.people:
            for ledger in LEDGERS:
                settings, limit = settings_of(ledger, self.policy), self.policy.tiers.manage_from
                held = [e for e in self.in_force() if e.subject == user and e.kind == "demote" and e.basis == ledger]
                charges = [e for e in entries_in_force(self.entries(user, ledger)) if e.entry == "charge"]
                low = [n for n in range(1, len(charges) + 1) if self._low(charges[:n], settings, limit)]
                assert len(held) <= 1
                assert low or not held, (user, ledger, held)
                if power_of(self.given).role(user) != "member" and self.points(user, ledger) < limit:
                    assert held, (user, ledger)

    @staticmethod
    def _low(charges: Sequence[Any], settings: Any, limit: int) -> bool:
        return balance(charges, charges[-1].at_ms, settings) < limit
