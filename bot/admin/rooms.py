"""Measures against rooms, ordered and lifted by the operator at the command line, and the leaving of a room.

Rules kept here:
- The person who acts is an operator of the configuration (`by_operator.py`).
- The user at the terminal, as the operating system knows them, is recorded as well, with the reason.

Left to others: what follows (`moderation/rooms/measures.py`), asking (`bot/cli/rooms/measures.py`), carrying it out
(the bot, when it runs).
"""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import RoomView
from moderation.model.facts import OF_ROOMS, CaseOpened, ContentRead, DataAsked, Fact, SanctionEnded, SanctionKind
from moderation.rooms import measures
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries

from .by_operator import ByOperator
from .request import ByName, Request

ORDERS: tuple[SanctionKind, ...] = tuple(kind for kind in get_args(SanctionKind) if kind in OF_ROOMS and kind != "slow")


class RoomOperations(ByOperator):
    """Operations that order measures and lift them."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {f"room-{what}": partial(self._do, what) for what in (*ORDERS, "reopen", "leave")}

    async def _do(self, what: str, asked: Request) -> dict[str, Any]:
        by = self._operator(asked.string("by"))
        answer: dict[str, Any] = {}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            room = await self._group(db, asked.string("room"))
            facts: tuple[Fact, ...]
            if what == "leave":
                facts = (DataAsked(room=room.room, on=-1, what="leave-confirmed", subject=by),)
            elif what == "reopen":
                facts = await self._lifted(db, room, by)
            else:
                facts = await self._ordered(db, what, room, by, asked)
            answer.update(_answer(room, facts))
            filters = json.dumps({"room": room.code, "for": asked.number("for_ms")})
            said: Any = {"by": by, "reader": asked.reader, "reason": asked.reason, "filters": filters}
            yield (ContentRead(room=room.room, what=f"rooms {what}", **said),)
            yield facts

        await self._pipeline.commit_with(make)
        return answer

    async def _ordered(
        self, db: AsyncConnection, kind: str, room: RoomView, by: UserId, asked: Request
    ) -> tuple[Fact, ...]:
        now = self._clock()
        lasts = asked.number("for_ms") or self._lasts(kind)
        return measures.order(
            kind,  # type: ignore[arg-type]
            by=by,
            room=room,
            in_force=await queries.measures_of_room(db, room.room),
            owner=measures.answers_for(await queries.duty_of(db, room, self._policy.operators, now)),
            n=self._pipeline.knowledge.next_case,
            until=now + lasts if lasts else 0,
            reason=asked.reason,
            policy=self._policy,
            on=-1,
            as_operator=True,
        )

    async def _lifted(self, db: AsyncConnection, room: RoomView, by: UserId) -> tuple[Fact, ...]:
        there = await queries.measures_of_room(db, room.room)
        facts = measures.lift(OF_ROOMS, by=by, room=room, in_force=there, policy=self._policy, on=-1)
        if not facts:
            raise Refused("cli.rooms.nothing", code=room.code)
        return facts

    def _lasts(self, kind: str) -> int:
        """Return how long a measure holds if no time is given, in milliseconds; 0: until it is lifted."""
        groups = self._policy.groups
        return {"rectify": groups.rectify_within, "suspend": groups.suspend_for}.get(kind, 0)


def _answer(room: RoomView, facts: tuple[Fact, ...]) -> dict[str, Any]:
    opened = [fact for fact in facts if isinstance(fact, CaseOpened)]
    until = [each for fact in facts if (each := getattr(fact, "until", None)) is not None]
    return {
        "room": room.code,
        "case": opened[0].n if opened else None,
        "until": until[0] if until else None,
        "ended": [fact.kind for fact in facts if isinstance(fact, SanctionEnded)],
    }
