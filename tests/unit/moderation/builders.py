"""Short builders of rooms, people and histories for the tests of decisions.

`History` folds facts in memory as `storage/projections/` does: earlier decisions about a person are known at the next
one. `tests/unit/storage/projections/test_project.py` compares this fold with the database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.texts.notifications import in_words
from moderation.cases.decide import decide
from moderation.consequences import Reporters, RoomsOf, consequences
from moderation.credit.credit import balance
from moderation.credit.tiers import review
from moderation.judge.judge import CompiledRule, judge
from moderation.model.actions import Action
from moderation.model.context import CaseView, Condition, Context, InForce, PersonView, Purpose, RoomView
from moderation.model.facts import (
    LASTING,
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Outcome,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import Policy
from moderation.values.events import Json, Media, MembershipChanged, MessagePosted, StateChanged, Text
from moderation.values.ids import CaseNumber, EventId, GroupCode, PersonId, RoomId, UserId
from moderation.values.power_levels import Power

ROOM, OTHER, DESK = RoomId("!garden:example.org"), RoomId("!kitchen:example.org"), RoomId("!desk:example.org")
CODE = GroupCode("G-7F3K")
ANNA, MARK, MINA, OLGA, BOT, OPERA = (
    UserId(f"@{name}:example.org") for name in ("anna", "mark", "mina", "olga", "bot", "opera")
)
NOON = 1_795_521_600_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LEVELS: dict[str, Any] = {"users": {OLGA: 100, BOT: 100, MARK: 50, MINA: 50}}
CREATE = {"sender": OLGA, "content": {"room_version": "11"}}


def power(levels: Mapping[str, Any] = LEVELS, version: str = "11") -> Power:
    """Return the power levels of Olga's room: owner Olga, managers Mark and Mina, the bot above the managers."""
    return Power.of({"sender": OLGA, "content": {"room_version": version}}, levels, bot=BOT)


def room(
    condition: Condition = "protected",
    purpose: Purpose = "group",
    *,
    levels: Mapping[str, Any] = LEVELS,
    version: str = "11",
    name: RoomId = ROOM,
) -> RoomView:
    return RoomView(name, CODE, purpose, condition, power(levels, version))


def entry(number: int, cost: int, at_ms: int, *, rule: str = "spam", case: int | None = None) -> LedgerEntry:
    """Return a charge against Anna."""
    return LedgerEntry(number, PersonId(ANNA), at_ms, "charge", cost, "moderate", rule, case, ROOM)


def person(user: UserId = ANNA, **known: Any) -> PersonView:
    return PersonView(user=user, person=PersonId(user), **{"accounts": frozenset({user})} | known)


def context(
    subject: PersonView | UserId = ANNA,
    *,
    here: RoomView | None = None,
    now: int = NOON,
    next_case: int = 1,
    recent: tuple[int, ...] = (),
    stood: int | None = None,
) -> Context:
    known = subject if isinstance(subject, PersonView) else person(subject)
    return Context(
        now_ms=now,
        room=here or room(),
        subject=known,
        bot=BOT,
        next_case=next_case,
        recent_ms=recent or (now,),
        stood=stood,
    )


def terms(name: str, *words: str, **settings: Any) -> dict[str, Any]:
    """Return a rule that forbids its own name, or these words."""
    return {"name": name, "kind": "terms", "terms": words or (name,), **settings}


def policy(*rules: dict[str, Any], **settings: Any) -> Policy:
    return Policy.model_validate({"rules": rules, "operators": (OPERA,), **settings})


_COMPILED: dict[str, CompiledRule] = {}


def in_words_of(facts: Sequence[Fact], rooms_of: RoomsOf, reporters: Reporters | None = None) -> tuple[Action, ...]:
    """Return the actions that follow from facts, with what people are told in words."""
    return in_words(consequences(facts, rooms_of, reporters))


def compiled(policy: Policy) -> tuple[CompiledRule, ...]:
    """Return the compiled rules; equal rules are compiled only once, since hypothesis asks a thousand times."""
    for rule in policy.rules:
        if repr(rule) not in _COMPILED:
            _COMPILED[repr(rule)] = CompiledRule.of(rule)
    return tuple(_COMPILED[repr(rule)] for rule in policy.rules)


def said(
    text: str,
    sender: UserId = ANNA,
    *,
    at: int = NOON,
    event: str = "$said",
    where: RoomId = ROOM,
    media: Media | None = None,
    replaces: str | None = None,
) -> MessagePosted:
    content: dict[str, Json] = {"msgtype": "m.text", "body": text}
    return MessagePosted(
        room=where,
        event=EventId(event),
        sender=sender,
        sent_ms=at,
        received_ms=at,
        type="m.room.message",
        content=content,
        texts=(Text("body", text),) if text else (),
        media=media,
        replaces=EventId(replaces) if replaces else None,
    )


def came(name: str, user: UserId = ANNA, *, by: UserId | None = None, at: int = NOON) -> MembershipChanged:
    return MembershipChanged(
        room=ROOM,
        event=EventId("$came"),
        sender=by or user,
        sent_ms=at,
        received_ms=at,
        type="m.room.member",
        content={"membership": "join", "displayname": name},
        user=user,
        membership="join",
        display_name=name,
        texts=(Text("display_name", name),),
    )


def topic(text: str, sender: UserId = ANNA, *, at: int = NOON) -> StateChanged:
    return StateChanged(
        room=ROOM,
        event=EventId("$topic"),
        sender=sender,
        sent_ms=at,
        received_ms=at,
        type="m.room.topic",
        content={"topic": text},
        state_key="",
        texts=(Text("topic", text),),
    )


class History:
    """The history of one person in one room."""

    def __init__(
        self, policy: Policy, *, user: UserId = ANNA, here: RoomView | None = None, manages: bool = False
    ) -> None:
        """Begin a history. With `manages` the person manages another room, where a demotion is carried out at once."""
        self.policy = policy
        self.user = user
        self.here = here or room()
        self.now = NOON
        self.facts: list[tuple[int, int, Fact]] = []  # index, time, fact
        self.cases: dict[int, CaseView] = {}
        self.entries: list[LedgerEntry] = []
        self.sanctions: dict[int, InForce] = {}
        self.ended: dict[int, str] = {}
        self._rules = compiled(policy)
        self._manages = manages
        self._next = 0

    # What is known.

    def person(self, user: UserId | None = None) -> PersonView:
        user = user or self.user
        managed = {OTHER} if self._manages and not self.holds("demote") else set()
        if self.here.power.role(user) != "member":
            managed.add(self.here.room)
        if user != self.user:
            return person(user, manages=frozenset(managed))
        return person(
            user,
            entries=tuple(self.entries),
            in_force=tuple(self.in_force()),
            manages=frozenset(managed),
            recent_cases={
                (case.room, case.rule): replace(case, events=(), messages=(), on=-1, done=frozenset())
                for case in self.cases.values()
            },
        )

    def in_force(self) -> list[InForce]:
        return [sanction for record, sanction in self.sanctions.items() if record not in self.ended]

    def holds(self, kind: SanctionKind) -> list[InForce]:
        return [sanction for sanction in self.in_force() if sanction.kind == kind]

    def balance(self) -> int:
        return balance(self.entries, self.now, self.policy.credit)

    def context(self) -> Context:
        return context(self.person(), here=self.here, now=self.now, next_case=max(self.cases, default=0) + 1)

    def state(self) -> tuple[int, set[tuple[SanctionKind, int]]]:
        """Return the effective state: credit, and the sanctions in force with their ends."""
        return self.balance(), {(sanction.kind, sanction.until) for sanction in self.in_force()}

    # What happens.

    def wait(self, ms: int) -> None:
        """Let time pass; what becomes due is reviewed at its time, as the scheduler does."""
        end = self.now + ms
        while due := [each for each in self.in_force() if 0 < each.until <= end]:
            first = min(due, key=lambda each: (each.until, each.record))
            self.now = max(self.now, first.until)
            self.apply(review(first, self.context(), self.policy))
        self.now = end

    def say(self, text: str) -> tuple[Fact, ...]:
        on = self._take()
        event = said(text, self.user, at=self.now, event=f"${on}")
        return self.apply(judge(event, self.context(), self.policy, self._rules, on))

    def decide(self, n: int, what: Outcome, by: UserId = OLGA, reason: str = "") -> tuple[Fact, ...]:
        facts = decide(
            self.cases[n],
            what,
            by=by,
            reason=reason,
            context=self.context(),
            policy=self.policy,
            on=self._take(),
        )
        return self.apply(facts)

    def apply(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        facts = tuple(facts)
        for fact in facts:
            index = self._take()
            self.facts.append((index, self.now, fact))
            self._fold(index, fact)
        return facts

    def _take(self) -> int:
        self._next += 1
        return self._next - 1

    def _fold(self, index: int, fact: Fact) -> None:
        match fact:
            case CaseOpened():
                self.cases[fact.n] = CaseView(
                    n=CaseNumber(fact.n),
                    room=fact.room or ROOM,
                    subject=fact.subject,
                    person=PersonId(fact.subject),
                    rule=fact.rule,
                    grade=fact.grade,
                    decide=fact.decide,
                    manages=bool(fact.manages),
                    state=fact.state,
                    outcome="upheld" if fact.state == "decided" else "",
                    opened=self.now,
                    due=fact.due if fact.state == "open" else 0,
                    events=(fact.event,),
                    messages=(fact.event,),
                    on=fact.on,
                    by=fact.by,
                    reason=fact.reason,
                    decided=self.now if fact.state == "decided" else 0,
                    excerpt=fact.excerpt,
                )
            case CaseGrew():
                case = self.cases[fact.n]
                grown = (*case.events, fact.event)
                self.cases[fact.n] = replace(case, events=grown, messages=grown)
            case CaseDecided():
                decided = replace(self.cases[fact.n], state=fact.state, outcome=fact.what, due=0)
                self.cases[fact.n] = replace(decided, by=fact.by, reason=fact.reason, decided=self.now)
            case CreditChanged():
                self.entries.append(_line(index, self.now, fact))
            case SanctionStarted():
                self._started(index, fact)
            case SanctionExtended():
                self.sanctions[fact.start] = replace(self.sanctions[fact.start], until=fact.until)
            case SanctionEnded():
                self._ended(fact)
            case _:
                pass

    def _started(self, index: int, fact: SanctionStarted) -> None:
        if fact.kind in LASTING:
            self.sanctions[index] = InForce(index, fact.kind, fact.room, fact.subject, fact.until, fact.basis, fact.n)
        if fact.n in self.cases and fact.basis in ("rule", "interim", "decision"):
            case = self.cases[fact.n]
            self.cases[fact.n] = replace(case, done=case.done | {(fact.kind, fact.event)})

    def _ended(self, fact: SanctionEnded) -> None:
        self.ended[fact.start] = fact.why
        ended = self.sanctions[fact.start]
        if fact.why == "reversed" and ended.basis != "credit":
            case = self.cases[ended.n]
            self.cases[ended.n] = replace(case, done=case.done - {(ended.kind, EventId(""))})


def _line(index: int, at_ms: int, fact: CreditChanged) -> LedgerEntry:
    return LedgerEntry(
        id=index,
        person=PersonId(fact.subject),
        at_ms=at_ms,
        entry=fact.entry,
        cost=fact.cost,
        grade=fact.grade if fact.grade != "-" else None,
        rule=fact.rule,
        case=fact.n or None,
        room=fact.room,
        undoes=fact.undoes if fact.undoes >= 0 else None,
    )
