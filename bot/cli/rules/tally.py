"""The count of what rules would have done: by rule how often, to whom, and with which measures.

Rules kept here:
- One incident is one case: what follows within its time by the same person and rule only has its message removed.
- What low credit would have brought on top is left out: it depends on decisions that nobody made.

Pure. Left to others: judging (`bot/pipeline/judge_again.py`), showing it (`command.py`).
"""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from bot.pipeline.judging_context import ToJudge
from moderation.judge.judge import judge
from moderation.model.facts import REMOVING, CaseOpened, Fact, Found, FoundOnTrial, SanctionStarted
from moderation.policy import Policy
from moderation.values.ids import EventId, GroupCode, RoomId, UserId

EXAMPLES = 3  # of each rule, the newest


@dataclass(frozen=True, slots=True)
class Example:
    """One event that a rule would have matched."""

    record: int
    event: EventId
    room: GroupCode
    person: UserId
    matched: str


@dataclass(slots=True)
class RuleTally:
    """The count of one rule."""

    rule: str
    on_trial: bool = False
    matched: int = 0
    harmless: int = 0  # of these, messages of which people decided that they broke no rule
    cases: int = 0
    to_decide: int = 0  # of these, by people
    people: Counter[UserId] = field(default_factory=Counter)
    rooms: Counter[GroupCode] = field(default_factory=Counter)
    measures: Counter[str] = field(default_factory=Counter)
    examples: deque[Example] = field(default_factory=lambda: deque(maxlen=EXAMPLES))


class Tally:
    """The counts of all rules, filled by judging one event after the other."""

    def __init__(self, policy: Policy, names: Collection[str], harmless: Collection[int]) -> None:
        """Set up.

        `names`: the rules that are counted, empty for all; `harmless`: the records of messages in dismissed cases.
        """
        self._policy, self._names, self._harmless = policy, names, harmless
        self._incidents: dict[tuple[RoomId, UserId, str], int] = {}
        self.rules: dict[str, RuleTally] = {}

    def judge(self, index: int, due: ToJudge) -> Sequence[Fact]:
        """Judge one event as if there were no case yet, and count what follows."""
        context = replace(due.context, subject=replace(due.context.subject, recent_cases={}))
        facts = judge(due.event, context, self._policy, due.rules, index)
        if facts:
            self._count(index, due, facts)
        return facts

    def _count(self, index: int, due: ToJudge, facts: Sequence[Fact]) -> None:
        is_new = any(self._is_new(due, fact) for fact in facts if isinstance(fact, CaseOpened))
        for fact in facts:
            if self._names and getattr(fact, "rule", "") not in self._names:
                continue
            match fact:
                case Found() | FoundOnTrial():
                    self._found(index, due, fact.rule, fact.matched).on_trial = isinstance(fact, FoundOnTrial)
                case CaseOpened() if is_new:
                    self._of(fact.rule).cases += 1
                    self._of(fact.rule).to_decide += fact.state == "open"
                case SanctionStarted(n=0):  # held back by a rule of the bot's own: there is no case
                    self._found(index, due, fact.rule, "").measures[fact.kind] += 1
                case SanctionStarted() if fact.basis != "credit" and (is_new or fact.kind in REMOVING):
                    self._of(fact.rule).measures[fact.kind] += 1

    def _is_new(self, due: ToJudge, case: CaseOpened) -> bool:
        """Return whether a case would really be opened: there is none yet of the same incident."""
        key, now = (due.context.room.room, case.subject, case.rule), due.context.now_ms
        began = self._incidents.get(key)
        if began is not None and now - began <= self._policy.credit.incident_window:
            return False
        self._incidents[key] = now
        return True

    def _found(self, index: int, due: ToJudge, rule: str, matched: str) -> RuleTally:
        found, room, person = self._of(rule), due.context.room.code, due.context.subject.user
        found.matched += 1
        found.harmless += index in self._harmless
        found.people[person] += 1
        found.rooms[room] += 1
        found.examples.append(Example(index, due.event.event or EventId(""), room, person, matched))
        return found

    def _of(self, rule: str) -> RuleTally:
        return self.rules.setdefault(rule, RuleTally(rule))
