"""A small room with several people in which time passes: facts folded in memory, for the tests of responsibility.

`World` does what `bot/pipeline/pipeline.py`, `bot/pipeline/case_context.py`, `bot/scheduler/due_cases.py` and
`storage/projections/` do together: every event becomes facts, `derive_obligations` adds the obligations, all are folded
one by one, and what is due is processed at its time. Folding checks the invariants of every single fact; `check` checks
those that hold in between.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from moderation.cases.appeals import lodge
from moderation.cases.deadlines import (
    BACK_WITHIN_MS,
    Excused,
    Gone,
    WaitingCase,
    came_back,
    close_case,
    deadline,
    reminder,
)
from moderation.cases.decide import acknowledge, decide
from moderation.cases.lifecycle import TRANSITIONS
from moderation.cases.neglect import FAULTS, neglect_facts
from moderation.cases.obligations import CaseContext, concerns, derive_obligations
from moderation.cases.statements import StatementContext, from_json, statement, to_be_stated, to_json
from moderation.credit.credit import balance, entries_in_force
from moderation.credit.ledger import LEDGERS, account, settings_of
from moderation.credit.tiers import made_manager, review
from moderation.duty.duty import Duty, can_act, on_duty
from moderation.duty.responsibility import require_fault, role
from moderation.judge.judge import judge
from moderation.model.builtin_rules import NOBODY, OVERDUE, decided_by
from moderation.model.context import CaseView, Context, InForce, PersonView, RoomView
from moderation.model.facts import (
    OF_ROOMS,
    Appealed,
    Asked,
    AwayChanged,
    CaseAssigned,
    CaseDecided,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    CreditChanged,
    Fact,
    Outcome,
    RoleChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    TaskOpened,
)
from moderation.policy import Policy
from moderation.rooms import measures as room_measures
from moderation.values.ids import UserId
from moderation.values.power_levels import Power
from tests.unit.moderation.builders import ANNA, BOT, CODE, DAY, MARK, MINA, NOON, OLGA, ROOM, compiled, person, said
from tests.unit.moderation.folding import Folded

BEN, NO_ONE = UserId("@ben:example.org"), UserId("")
# In one turn, without the kinds that a fact of time may rest on otherwise.
OF_CASES = frozenset({"case", "decision", "sanction", "credit", "task", "appeal"})
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


class World:
    """One room, served by the bot: Olga founded it, Mark and Mina help, Anna and Ben are members."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = NOON
        self.given: dict[UserId, int] = {OLGA: 100, MARK: 50, MINA: 50}  # levels, as people set them
        self.joined: set[UserId] = {OLGA, MARK, MINA, ANNA, BEN}
        self.people: tuple[UserId, ...] = (OLGA, MARK, MINA, ANNA, BEN)
        self.roster: dict[UserId, str] = {}
        self.untold: set[UserId] = set()  # who cannot be told anything
        self.gone: dict[tuple[int, UserId], Gone] = {}  # who left while a case waited for them
        self.folded = Folded()
        self.away, self.cases, self.tasks = self.folded.away, self.folded.cases, self.folded.tasks
        self.groups: list[tuple[Fact, ...]] = []  # the facts of each cause
        self._next = 0

    # What is known.

    @property
    def next_case(self) -> int:
        return max(self.cases, default=0) + 1

    def power(self) -> Power:
        """Return the power levels of the room as the reconciler leaves them: nobody has power over the owner."""
        by_hand = _power(self.given)
        held = {each.subject for each in self.in_force() if each.kind == "demote"}
        users = {user: level for user, level in self.given.items() if user not in held or by_hand.role(user) == "owner"}
        return _power(users)

    def view(self) -> RoomView:
        held = frozenset(each.subject for each in self.in_force() if each.kind in ("demote", "ban"))
        return RoomView(ROOM, CODE, "group", "protected", self.power(), suspended=held)

    def duty(self) -> Duty:
        room = self.view()
        roles = {user: role(user, room) for user in sorted(self.joined)}
        nobody = [
            row.view.opened
            for row in self.cases.values()
            if row.view.rule == NOBODY and row.view.outcome != "dismissed"
        ]
        return Duty(
            owners=tuple(user for user, role in roles.items() if role == "owner"),
            managers=tuple(user for user, role in roles.items() if role == "manager"),
            operators=tuple(UserId(user) for user in self.policy.operators),
            away=frozenset(user for user, until in self.away.items() if until > self.now),
            roster=self.roster,
            desk=frozenset(self.joined - self.untold),
            nobody_ms=max(nobody, default=0),
        )

    def in_force(self) -> list[InForce]:
        return self.folded.in_force()

    def measures(self) -> tuple[InForce, ...]:
        return tuple(each for each in self.in_force() if each.kind in OF_ROOMS)

    def entries(self, user: UserId, ledger: str) -> tuple[Any, ...]:
        return self.folded.entries(user, ledger)

    def person(self, user: UserId) -> PersonView:
        return person(
            user,
            entries=self.entries(user, "credit"),
            standing=self.entries(user, "standing"),
            in_force=tuple(each for each in self.in_force() if each.subject == user),
            manages=frozenset({ROOM} if self.power().role(user) != "member" else ()),
            recent_cases={
                (row.view.room, row.view.rule): replace(row.view, events=(), messages=(), on=-1)
                for row in self.cases.values()
                if row.view.subject == user
            },
        )

    def context(self, user: UserId) -> Context:
        return Context(
            now_ms=self.now,
            room=self.view(),
            subject=self.person(user),
            bot=BOT,
            next_case=self.next_case,
            recent_ms=(self.now,),
        )

    def points(self, user: UserId, ledger: str) -> int:
        return account(self.person(user), ledger, self.view(), self.policy).balance(self.now)  # type: ignore[arg-type]

    def with_operator(self) -> frozenset[int]:
        return frozenset(n for n, row in self.cases.items() if row.view.state == "escalated_operator")

    def assigned(self, n: int) -> tuple[UserId, ...]:
        """Return who is responsible for a case at the level that is asked now; for an appeal, since the appeal."""
        row = self.cases[n]
        here = (user for user, level, at in row.asked if level == row.view.asked and at >= row.appealed)
        return tuple(dict.fromkeys(here))

    # What happens.

    def say(self, user: UserId, text: str) -> tuple[Fact, ...]:
        on = self._take()
        event = said(text, user, at=self.now, event=f"${on}")
        return self.settle(judge(event, self.context(user), self.policy, compiled(self.policy), on), cause=on)

    def decide(self, n: int, what: Outcome, by: UserId, fault: str = "") -> tuple[Fact, ...]:
        """Decide a case. Raises what people are told if that is not possible."""
        row, on = self.cases[n], self._take()
        facts = decide(
            row.view,
            what,
            by=by,
            reason="so",
            context=self.context(row.view.subject),
            policy=self.policy,
            on=on,
        )
        if fault:
            require_fault(fault, row.view, by, self.view(), self.policy)
            whose = self.context(row.view.by)
            facts += neglect_facts(
                whose, FAULTS[fault], n=self.next_case, about=n, policy=self.policy, on=on, by=by, reason="so"
            )
        return self.settle(facts, cause=on)

    def see(self, n: int, by: UserId) -> tuple[Fact, ...]:
        on = self._take()
        return self.settle(acknowledge(self.cases[n].view, by, self.view(), self.policy, on=on), cause=on)

    def note(self, n: int, by: UserId) -> tuple[Fact, ...]:
        on = self._take()
        return self.settle((CaseNoted(room=ROOM, on=on, n=n, by=by, words="look"),), cause=on)

    def appeal(self, n: int) -> tuple[Fact, ...]:
        row, on = self.cases[n], self._take()
        facts = lodge(
            row.view,
            by=row.view.subject,
            words="no",
            now_ms=self.now,
            policy=self.policy,
            on=on,
        )
        return self.settle(facts, cause=on)

    def go_away(self, user: UserId, ms: int) -> None:
        what = AwayChanged(on=self._take(), what="away" if ms else "back", until=self.now + ms, subject=user)
        self.settle((what,), cause=what.on)

    def give(self, user: UserId, level: int) -> tuple[Fact, ...]:
        """Let somebody set a power level by hand."""
        on, was = self._take(), self.power().role(user)
        self.given = {**self.given, user: level}
        role = self.power().role(user)
        changed = (RoleChanged(room=ROOM, on=on, role=role, was=was, subject=user),) if role != was else ()
        more = made_manager(self.context(user), self.policy, on=on) if changed and role != "member" else ()
        if changed and role == "member":
            self._goes(user, own=False)
        facts = self.settle((*changed, *more), cause=on)
        return (*facts, *self._came_back(user)) if changed and role != "member" else facts

    def leave(self, user: UserId) -> None:
        self.joined.discard(user)
        self._goes(user, own=True)

    def come(self, user: UserId) -> tuple[Fact, ...]:
        self.joined.add(user)
        return self._came_back(user)

    def _goes(self, user: UserId, *, own: bool) -> None:
        for n, row in self.cases.items():
            waits = not row.view.outcome or row.view.state == "appealed"
            if waits and user in self.assigned(n) and user not in self.untold:
                self.gone[n, user] = Gone(self.now, own)

    def _came_back(self, user: UserId) -> tuple[Fact, ...]:
        if user not in can_act(self.duty()):
            return ()
        charged = {
            row.view.about for row in self.cases.values() if row.view.rule == OVERDUE and row.view.subject == user
        }
        since = self.now - BACK_WITHIN_MS
        cases = sorted(
            n for (n, who), at in self.folded.excused.items() if who == user and at > since and n not in charged
        )
        waits = [not self.cases[n].view.outcome or self.cases[n].view.state == "appealed" for n in cases]
        left = [Excused(n, waits=still) for n, still in zip(cases, waits, strict=True)]
        on = self._take()
        return self.settle(came_back(self.context(user), left, self.policy, on=on), cause=on)

    def wait(self, ms: int) -> None:
        """Let time pass; what becomes due is processed at its time, as the scheduler does."""
        end = self.now + ms
        while (moment := min(self._times(), default=end + 1)) <= end:
            self.now = max(self.now, moment)
            for facts in self._due():
                self.settle(facts)
        self.now = end

    def _times(self) -> Iterator[int]:
        yield from (each.until for each in self.in_force() if each.until)
        for row in self.cases.values():
            yield from (time for time in (row.view.due, row.remind) if time)

    def _due(self) -> Iterator[tuple[Fact, ...]]:
        for sanction in sorted(self.in_force(), key=lambda each: (each.until, each.record)):
            if 0 < sanction.until <= self.now:
                yield self._sanction(sanction)
        due = [n for n, row in self.cases.items() if any(0 < time <= self.now for time in (row.view.due, row.remind))]
        for n in sorted(due, key=lambda n: (self.cases[n].view.due, n)):
            case = self.cases[n].view
            yield deadline(self.waiting(n)) if 0 < case.due <= self.now else reminder(self.waiting(n))

    def _sanction(self, sanction: InForce) -> tuple[Fact, ...]:
        if sanction.kind not in OF_ROOMS:
            return review(sanction, self.context(sanction.subject), self.policy)
        return room_measures.due(
            sanction=sanction,
            room=self.view(),
            in_force=self.measures(),
            owner=room_measures.answers_for(self.duty()),
            n=self.next_case,
            waiting=len(self.with_operator()),
            now_ms=self.now,
            policy=self.policy,
            on=sanction.record,
        )

    def waiting(self, n: int) -> WaitingCase:
        row = self.cases[n]
        about = [other.view for other in self.cases.values() if other.view.about == n and other.view.rule == OVERDUE]
        return WaitingCase(
            case=row.view,
            now_ms=self.now,
            policy=self.policy,
            next_case=self.next_case,
            duty=self.duty(),
            context=self.context(row.view.subject),
            assigned=self.assigned(n),
            told=frozenset(self.assigned(n)) - self.untold,
            gone={user: self.gone[n, user] for user in self.assigned(n) if (n, user) in self.gone},
            charged=frozenset(case.subject for case in about),
            people={user: self.context(user) for user in self.assigned(n)},
            measures=self.measures(),
            task=n in self._tasks_about([n]),
        )

    def close_old(self) -> None:
        """Close the cases whose time to appeal is over."""
        for row in list(self.cases.values()):
            old = row.view.decided and self.now - row.view.decided > self.policy.cases.appeal_within
            if old and row.view.state in ("decided", "affirmed", "reversed"):
                self.settle(close_case(row.view))

    # Writing.

    def settle(self, facts: Sequence[Fact], *, cause: int = -1) -> tuple[Fact, ...]:
        """Do as the pipeline does: derive the obligations of one cause, fold the facts, state reasons."""
        first = self._next
        facts = tuple(replace(f, on=first) if f.on < 0 and f.KIND in OF_CASES else f for f in facts)
        if concerns(facts):
            around = self.around(facts, cause if cause >= 0 else first)
            facts = derive_obligations(facts, around)
            assert derive_obligations(facts, around) == facts, "what is derive_obligations is not completed again"
        before = can_act(self.duty())
        for fact in facts:
            self._fold(self._take(), fact)
        self._somebody_is_left(before, facts)
        self._stated(facts)
        if facts:
            self.groups.append(facts)
        self.now += cause >= 0  # people do one thing after the other
        return facts

    def around(self, facts: Sequence[Fact], on: int) -> CaseContext:
        """Return the context that `bot/pipeline/case_context.py` reads."""
        duty = self.duty()
        appealed = [self.cases[fact.n].view for fact in facts if isinstance(fact, Appealed)]
        return CaseContext(
            now_ms=self.now,
            policy=self.policy,
            next_case=self.next_case,
            on=on,
            duties={ROOM: duty},
            owners={} if on_duty(duty, self.now) else {(ROOM, user): self.context(user) for user in duty.owners},
            appealed={case.n: case for case in appealed},
            measures={ROOM: self.measures()},
            waiting={ROOM: self.with_operator()},
            tasks=self._tasks_about([fact.n for fact in facts if isinstance(fact, CaseDecided)]),
            room_tasks={(ROOM, kind): self._tasks_of(kind) for kind in ("room", "last-manager")},
        )

    def _tasks_of(self, kind: str) -> tuple[int, ...]:
        return tuple(index for index, task in self.tasks.items() if task.task == kind)

    def _tasks_about(self, numbers: Iterable[int]) -> dict[int, int]:
        wanted = set(numbers)
        return {task.n: index for index, task in self.tasks.items() if task.task == "case" and task.n in wanted}

    def _take(self) -> int:
        self._next += 1
        return self._next - 1

    # Folding, and what must hold of each fact.

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

    # What must hold in between.

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
                if _power(self.given).role(user) != "member" and self.points(user, ledger) < limit:
                    assert held, (user, ledger)

    @staticmethod
    def _low(charges: Sequence[Any], settings: Any, limit: int) -> bool:
        return balance(charges, charges[-1].at_ms, settings) < limit


def _power(users: dict[UserId, int]) -> Power:
    return _power_of(tuple(users.items()))


@cache
def _power_of(users: tuple[tuple[UserId, int], ...]) -> Power:
    """Return the power levels of the room where these users have these. There are few such rooms, asked for often."""
    return Power.of({"sender": OLGA, "content": {"room_version": "11"}}, {"users": dict(users) | {BOT: 100}}, bot=BOT)
