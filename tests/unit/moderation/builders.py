"""Short builders of rooms, people and histories for the tests of decisions.

In a `History`, earlier decisions about a person are known at the next one (`folding.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from bot.texts.notifications import in_words
from moderation.cases.decide import decide
from moderation.cases.statements import StatementContext
from moderation.consequences import Known, Reporters, RoomsOf, consequences
from moderation.credit.credit import balance
from moderation.credit.tiers import review
from moderation.judge.judge import CompiledRule, judge
from moderation.model.actions.base import Action
from moderation.model.context import CaseView, Condition, Context, InForce, PersonView, Purpose, RoomView
from moderation.model.facts import (
    CaseState,
    Fact,
    Outcome,
    SanctionKind,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import Policy
from moderation.values.events import Json, Media, MembershipChanged, MessagePosted, StateChanged, Text
from moderation.values.ids import CaseNumber, EventId, GroupCode, PersonId, RoomId, UserId
from moderation.values.power_levels import Power
from tests.unit.moderation.folding import Folded

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


def known(
    n: int = 3,
    *,
    user: UserId = ANNA,
    state: CaseState = "decided",
    outcome: Outcome | Literal[""] = "upheld",
    **more: Any,
) -> Known:
    """Return what is known of the one case that some facts name."""
    given: dict[str, Any] = {"rule": "spam", "excerpt": "spam!", "events": (EventId("$said"),), "decided": NOON, **more}
    case = CaseView(
        n=CaseNumber(n),
        room=ROOM,
        subject=user,
        person=PersonId(user),
        grade="minor",
        decide="manager",
        manages=False,
        state=state,
        outcome=outcome,
        opened=NOON,
        **given,
    )
    return Known({n: StatementContext(case, CODE, NOON, policy=policy())}, NOON)


_COMPILED: dict[str, CompiledRule] = {}


def in_words_of(
    facts: Sequence[Fact], rooms_of: RoomsOf, reporters: Reporters | None = None, known: Known | None = None
) -> tuple[Action, ...]:
    """Return the actions that follow from facts, with what people are told in words."""
    return in_words(consequences(facts, rooms_of, reporters, known))


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
    media: tuple[Media, ...] = (),
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
        self.folded = Folded()
        self.joined: dict[RoomId, int] = {}  # when the person last came into a room
        self._rules = compiled(policy)
        self._manages = manages
        self._next = 0

    # What is known.

    @property
    def facts(self) -> list[tuple[int, int, Fact]]:
        return self.folded.facts

    @property
    def cases(self) -> dict[int, CaseView]:
        return {n: row.view for n, row in self.folded.cases.items()}

    @property
    def entries(self) -> Sequence[LedgerEntry]:
        return self.folded.entries(self.user, "credit")

    @entries.setter
    def entries(self, entries: Sequence[LedgerEntry]) -> None:
        self.folded.ledgers[self.user, "credit"] = list(entries)

    def alter(self, n: int, **values: Any) -> None:
        """Let a case be otherwise than any fact made it."""
        row = self.folded.cases[n]
        row.view = replace(row.view, **values)

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
            joined=dict(self.joined),
            manages=frozenset(managed),
            recent_cases={
                (case.room, case.rule): replace(case, events=(), messages=(), on=-1, done=frozenset())
                for case in self.cases.values()
            },
        )

    def in_force(self) -> list[InForce]:
        return self.folded.in_force()

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
            self.folded.fold(self._take(), self.now, fact)
        return facts

    def _take(self) -> int:
        self._next += 1
        return self._next - 1
