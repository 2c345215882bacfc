"""Cases that an operator decides at the command line, and duties that were broken outside the bot.

Rules kept here:
- The person who acts is an operator of the configuration.
- The user at the terminal, as the operating system knows them, is recorded as well, with the reason.
- A case that has changed since a page showed it (`seen`: its last record then) is not decided.

Left to others: what follows (`moderation/cases/decide.py`, `moderation/cases/neglect.py`), asking
(`bot/cli/decide.py`).
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands.decide_together import others_dismissed
from moderation.cases.decide import decide
from moderation.cases.neglect import FAULTS, neglect_facts
from moderation.duty.responsibility import require_fault
from moderation.model.context import RoomView
from moderation.model.facts import ContentRead, CreditChanged, Fact, Outcome
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from storage import queries

from .by_operator import ByOperator
from .request import ByName, Request

OUTCOMES: Mapping[str, Outcome] = {"uphold": "upheld", "dismiss": "dismissed"}


class CaseOperations(ByOperator):
    """Operations that decide cases, and charge broken duties."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"decide": self._do_decide, "charge": self._do_charge}

    async def _do_decide(self, asked: Request) -> dict[str, Any]:
        what = OUTCOMES[asked.string("what")]

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            facts, room, subject = await self._decided(db, what, asked)
            yield (
                self._noted(asked, f"decide {asked.string('what')}", room.room, n=asked.number("n"), subject=subject),
            )
            yield facts

        await self._pipeline.commit_with(make)
        return {"n": asked.number("n"), "outcome": what}

    async def _decided(
        self, db: AsyncConnection, what: Outcome, asked: Request
    ) -> tuple[tuple[Fact, ...], RoomView, UserId]:
        by, reason, n = self._operator(asked.string("by")), asked.reason, asked.number("n")
        case = await queries.case_view(db, n)
        room = await self._pipeline.knowledge.room(db, case.room) if case else None
        if case is None or room is None:
            raise Refused("error.case.none", n=n)
        if asked.arguments.get("seen") is not None and await queries.last_record_of(db, n) != asked.number("seen"):
            raise Refused("console.moved")
        facts = decide(
            case,
            what,
            by=by,
            reason=reason,
            context=await self._pipeline.knowledge.context(db, room, case.subject, self._clock()),
            policy=await queries.policy_for(db, self._policy, room, case.rule),
            on=-1,
        )
        if what == "dismissed" and not case.outcome:
            knowledge = self._pipeline.knowledge
            facts += await others_dismissed(db, knowledge, case, facts, self._policy, self._clock())
        if fault := asked.string("fault"):
            require_fault(fault, case, by, room, self._policy)
            facts = (*facts, *await self._neglected(db, room, case.by, fault, by, reason, about=n))
        return facts, room, case.subject

    async def _neglected(
        self, db: AsyncConnection, room: RoomView, user: UserId, duty: str, by: UserId, reason: str, *, about: int
    ) -> tuple[Fact, ...]:
        knowledge = self._pipeline.knowledge
        return neglect_facts(
            await knowledge.context(db, room, user, self._clock()),
            FAULTS[duty],
            n=knowledge.next_case,
            about=about,
            policy=self._policy,
            on=-1,
            by=by,
            reason=reason,
        )

    async def _do_charge(self, asked: Request) -> dict[str, Any]:
        by, user = self._operator(asked.string("by")), asked.person
        answer: dict[str, Any] = {}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            room = await self._room(db, asked.string("room"), user)
            facts = await self._neglected(db, room, user, asked.string("duty"), by, asked.reason, about=0)
            charged = next(fact for fact in facts if isinstance(fact, CreditChanged))
            answer.update(n=charged.n, cost=charged.cost, left=charged.left)
            yield (self._noted(asked, f"charge {asked.arguments['duty']}", room.room, subject=user),)
            yield facts

        await self._pipeline.commit_with(make)
        return answer

    async def _room(self, db: AsyncConnection, code: str, user: UserId) -> RoomView:
        """Return the room in which a duty was broken.

        Raises `Refused` if the person does not run it, and so has no duties there.
        """
        room = await self._group(db, code)
        if room.power.role(user) == "member" and room.room not in await self._managed(db, user):
            raise Refused("cli.charge.no_duty", who=user, code=code)
        return room

    async def _managed(self, db: AsyncConnection, user: UserId) -> frozenset[RoomId]:
        return (await queries.person_view(db, user, now_ms=0, recent_since=0)).manages

    def _noted(self, asked: Request, what: str, room: RoomId, *, subject: UserId, n: int = 0) -> ContentRead:
        return ContentRead(
            room=room,
            what=what,
            n=n,
            subject=subject,
            by=UserId(asked.string("by")),
            reader=asked.reader,
            reason=asked.reason,
        )
