"""A small room with several people in which time passes: facts folded in memory, for the tests of responsibility.

`World` does what `bot/pipeline/pipeline.py`, `bot/pipeline/case_context.py`, `bot/scheduler/due_cases.py` and
`storage/projections/` do together: every event becomes facts, `derive_obligations` adds the obligations, all are folded
one by one, and what is due is processed at its time.

Left to others: who is there and what is known (`known_room.py`), what must hold (`invariants.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

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
from moderation.cases.neglect import FAULTS, neglect_facts
from moderation.cases.obligations import CaseContext, concerns, derive_obligations
from moderation.credit.tiers import made_manager, review
from moderation.duty.duty import can_act, on_duty
from moderation.duty.responsibility import require_fault
from moderation.judge.judge import judge
from moderation.model.builtin_rules import OVERDUE
from moderation.model.context import InForce
from moderation.model.facts import (
    OF_ROOMS,
    Appealed,
    AwayChanged,
    CaseDecided,
    CaseNoted,
    Fact,
    Outcome,
    RoleChanged,
)
from moderation.rooms import measures as room_measures
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ROOM, compiled, said
from tests.unit.moderation.invariants import CheckedRoom

# In one turn, without the kinds that a fact of time may rest on otherwise.
OF_CASES = frozenset({"case", "decision", "sanction", "credit", "task", "appeal"})


class World(CheckedRoom):
    """A room in which time passes."""

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

    def _take(self) -> int:
        self._next += 1
        return self._next - 1
