"""Measures against rooms, ordered and lifted by the operator at the command line, and the leaving of a room.

Rules kept here:
- The person who acts is an operator of the configuration (`by_operator.py`).
- The user at the terminal, as the operating system knows them, is recorded as well, with the reason.

Left to others: what follows (`moderation/rooms/measures.py`), asking (`bot/cli/rooms/measures.py`), carrying it out
(the bot, when it runs).
"""

import json
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import RoomView
from moderation.model.facts import REOPENED, CaseOpened, ContentRead, DataAsked, Fact, SanctionEnded, SanctionKind
from moderation.rooms import measures
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries

from .by_operator import ByOperator
from .request import ByName, Request

BY_OTHERS = ("slow", "gate")  # ordered by the people of a room alone, or by nobody
ORDERS: tuple[SanctionKind, ...] = tuple(
    kind for kind in get_args(SanctionKind) if kind in REOPENED and kind not in BY_OTHERS
)
EVERY_ROOM = "*"  # in place of the code of a room


class RoomOperations(ByOperator):
    """Operations that order measures and lift them."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {f"room-{what}": partial(self._do, what) for what in (*ORDERS, "lockdown-off", "reopen", "leave")}

    async def _do(self, what: str, asked: Request) -> dict[str, Any]:
        by, answers = self._operator(asked.string("by")), list[dict[str, Any]]()
        every = asked.string("room") == EVERY_ROOM

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            codes = await self._codes(db) if every else [asked.string("room")]
            for room in [await self._group(db, code) for code in codes]:
                facts = await self._facts(db, what, room, by, asked)
                if every and not facts:
                    continue
                answers.append(_answer(room, facts))
                filters = json.dumps({"room": room.code, "for": asked.number("for_ms")})
                said: Any = {"by": by, "reader": asked.reader, "reason": asked.reason, "filters": filters}
                yield (ContentRead(room=room.room, what=f"rooms {what}", **said),)
                yield facts

        await self._pipeline.commit_with(make)
        return {"rooms": answers} if every else answers[0]

    async def _codes(self, db: AsyncConnection) -> list[str]:
        views = [
            await queries.room_view(db, room, self._pipeline.settings.bot) for room in await queries.active_groups(db)
        ]
        return [view.code for view in views if view is not None]

    async def _facts(
        self, db: AsyncConnection, what: str, room: RoomView, by: UserId, asked: Request
    ) -> tuple[Fact, ...]:
        match what:
            case "leave":
                return (DataAsked(room=room.room, on=-1, what="leave-confirmed", subject=by),)
            case "reopen":
                return await self._lifted(db, room, by, REOPENED)
            case "lockdown-off":
                return await self._lifted(db, room, by, ("lockdown",), all_rooms=asked.string("room") == EVERY_ROOM)
        return await self._ordered(db, what, room, by, asked)

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

    async def _lifted(
        self, db: AsyncConnection, room: RoomView, by: UserId, kinds: Iterable[SanctionKind], *, all_rooms: bool = False
    ) -> tuple[Fact, ...]:
        there = await queries.measures_of_room(db, room.room)
        facts = measures.lift(kinds, by=by, room=room, in_force=there, policy=self._policy, on=-1)
        if not (facts or all_rooms):
            raise Refused("cli.rooms.nothing", code=room.code)
        return facts

    def _lasts(self, kind: str) -> int:
        """Return how long a measure holds if no time is given, in milliseconds; 0: until it is lifted."""
        groups = self._policy.groups
        lasts = {"rectify": groups.rectify_within, "suspend": groups.suspend_for, "lockdown": HOUR_MS}
        return lasts.get(kind, 0)


def _answer(room: RoomView, facts: tuple[Fact, ...]) -> dict[str, Any]:
    opened = [fact for fact in facts if isinstance(fact, CaseOpened)]
    until = [each for fact in facts if (each := getattr(fact, "until", None)) is not None]
    return {
        "room": room.code,
        "case": opened[0].n if opened else None,
        "until": until[0] if until else None,
        "ended": [fact.kind for fact in facts if isinstance(fact, SanctionEnded)],
    }
