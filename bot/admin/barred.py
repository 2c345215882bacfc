"""The barred list, changed by the operator at the command line.

Rules kept here:
- The person who acts is an operator of the configuration; the user of the operating system is recorded, too.
- An entry is a case of a group, so that it has a statement of reasons and can be appealed.
- The evidence for an entry is kept as long as the entry holds.

Left to others: who can be on it (`moderation/people/barred_list.py`), the rooms (`bot/effects/align_room.py`).
"""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import CaseView, RoomView
from moderation.model.facts import CaseOpened, Fact
from moderation.people.barred_list import BarredEntry, bar, evidence, is_entry, refuse_ours, unbar
from moderation.values.errors import Refused
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries

from .by_operator import ByOperator
from .request import ByName, Request


class BarredList(ByOperator):
    """Operations that put people on the list and take them off."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"bar": self._do_bar, "unbar": self._do_unbar}

    async def _do_bar(self, asked: Request) -> dict[str, Any]:
        user, by = asked.person, self._operator(asked.string("by"))
        refuse_ours(user, self._pipeline.settings.bot, self._policy)
        done: dict[str, Any] = {"person": user}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            cases = [await _case(db, int(n)) for n in asked.arguments.get("evidence") or ()]
            room = await self._home(db, user, asked.string("room"), cases)
            entry = await _entry(db, asked, by, cases)
            facts = bar(entry, await self._pipeline.knowledge.context(db, room, user, self._clock()), self._policy)
            yield facts
            opened = facts[0]
            assert isinstance(opened, CaseOpened)
            done.update(case=opened.n, until=entry.until, room=room.code)
            if rests := evidence(entry, opened):  # separate, since more evidence is no new decision
                yield rests

        await self._pipeline.commit_with(make)
        return done

    async def _do_unbar(self, asked: Request) -> dict[str, Any]:
        user, by = asked.person, self._operator(asked.string("by"))
        cases: list[int] = []

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            person = await self._pipeline.knowledge.person(db, user, self._clock())
            facts = unbar(person.in_force, by=by, reason=asked.reason, reader=asked.reader)
            if not facts:
                raise Refused("cli.barred.not", who=user)
            cases.extend(each.n for each in person.in_force if is_entry(each))
            yield facts

        await self._pipeline.commit_with(make)
        return {"person": user, "cases": cases}

    async def _home(self, db: AsyncConnection, user: UserId, code: str, cases: list[CaseView]) -> RoomView:
        """Return the group whose case it is: the one named, else that of the evidence, else the first they are in."""
        bot = self._pipeline.settings.bot
        if code:
            room = await queries.room_by_code(db, code, bot)
            if room is None or room.purpose != "group":
                raise Refused("cli.barred.no_group", code=code)
            return room
        known = [case.room for case in cases] + list(await queries.groups_of_person(db, user))
        for each in known:
            if (room := await queries.room_view(db, RoomId(each), bot)) is not None:
                return room
        raise Refused("cli.barred.name_group", who=user)


async def _entry(db: AsyncConnection, asked: Request, by: UserId, cases: list[CaseView]) -> BarredEntry:
    messages = [each for case in cases for each in await _messages(db, case)]
    return BarredEntry(
        by=by,
        reason=asked.reason,
        until=int(asked.arguments["until"]),
        reader=asked.reader,
        evidence=tuple(cases),
        messages=tuple(dict(messages).items()),
    )


async def _case(db: AsyncConnection, n: int) -> CaseView:
    found = await queries.case_view(db, n)
    if found is None:
        raise Refused("error.case.none", n=n)
    return found


async def _messages(db: AsyncConnection, case: CaseView) -> list[tuple[int, EventId]]:
    rows = [(await queries.said_row(db, event), event) for event in case.events]
    return [(int(row.record), event) for row, event in rows if row is not None]
