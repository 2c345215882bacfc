"""The loader of the context of facts of one cause: who runs the rooms concerned, what waits, what is decided.

Rules kept here:
- Everything is read inside the unit of work, after the facts before these were applied.
- Only what these facts need is read; for most of them that is nothing.

Left to others: what follows (`moderation/cases/obligations.py`, `moderation/cases/deadlines.py`,
`moderation/cases/statements.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.deadlines import WaitingCase
from moderation.cases.obligations import CaseContext
from moderation.cases.statements import StatementContext
from moderation.duty.duty import Duty, on_duty
from moderation.model.context import CaseView, Context, PersonView, RoomView
from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    Appealed,
    CaseDecided,
    CaseOpened,
    Fact,
    SanctionStarted,
)
from moderation.people.linked_accounts import AccountLink, accounts
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage import queries
from storage.projections.linked_accounts import links_in_force

from .view_cache import ViewCache


class CaseContextLoader:
    """A reader of the context of facts and of cases."""

    def __init__(self, knowledge: ViewCache, policy: Policy) -> None:
        self._knowledge = knowledge
        self._policy = policy

    async def load(self, db: AsyncConnection, facts: Sequence[Fact], *, on: int, now_ms: int) -> CaseContext:
        """Return what `derive_obligations` needs to know about these facts."""
        duties = await self._duties(db, await self._rooms(db, facts), now_ms)
        owners = await self._idle_owners(db, duties, now_ms)
        # They can lose rights in the other rooms that they manage, too.
        elsewhere = {room for context in owners.values() for room in context.subject.manages}
        duties |= await self._duties(db, sorted(elsewhere - duties.keys()), now_ms)
        appealed = [fact.n for fact in facts if isinstance(fact, Appealed)]
        decided = [fact for fact in facts if isinstance(fact, CaseDecided) and fact.room is not None]
        where = {fact.room for fact in decided if fact.room is not None}
        return CaseContext(
            now_ms=now_ms,
            policy=self._policy,
            next_case=self._knowledge.next_case,
            on=on,
            duties=duties,
            owners=owners,
            appealed={case.n: case for n in appealed if (case := await queries.case_view(db, n)) is not None},
            measures={room: await queries.measures_of_room(db, room) for room in where},
            waiting={room: await queries.with_operator(db, room) for room in where},
            waiting_with={fact.n: await queries.waiting_with(db, fact.n) for fact in decided},
            tasks=await queries.tasks_about(db, [fact.n for fact in decided]),
            to_confirm=await queries.tasks_about(db, [fact.n for fact in decided], "confirm"),
            room_tasks=await queries.tasks_about_rooms(db, _rooms_of(facts)),
            people=await self._people(db, facts, now_ms),
        )

    async def _people(self, db: AsyncConnection, facts: Sequence[Fact], now_ms: int) -> tuple[Context, ...]:
        """Return the people whose accounts the facts link or unlink, as they will be, in each room that they run."""
        found: list[Context] = []
        for fact in facts:
            if isinstance(fact, AccountsLinked | AccountUnlinked):
                for view in await self._after(db, fact):
                    known = sorted(view.manages) or await queries.groups_of_person(db, fact.subject)
                    rooms = [await self._knowledge.room(db, room) for room in known]
                    contexts = [await self._knowledge.context(db, r, view.user, now_ms) for r in rooms if r is not None]
                    found += [replace(context, subject=view) for context in contexts]
        return tuple(found)

    async def _after(self, db: AsyncConnection, fact: AccountsLinked | AccountUnlinked) -> list[PersonView]:
        links = list(await links_in_force(db))
        if isinstance(fact, AccountsLinked):
            links.append((-1, AccountLink(fact.subject, fact.target)))
        else:
            links = [(record, link) for record, link in links if record != fact.start]
        holding = [link for _, link in links]
        people = dict.fromkeys((accounts(holding, fact.subject), accounts(holding, fact.target)))
        first = {one: fact.subject if fact.subject in one else fact.target for one in people}
        return [await queries.together(db, first[one], one) for one in people]

    async def _rooms(self, db: AsyncConnection, facts: Sequence[Fact]) -> list[RoomId]:
        """Return the rooms whose managers and owners matter to these facts."""
        rooms: dict[RoomId, None] = {}
        for fact in facts:
            if fact.room is not None and await _waits(db, fact):
                rooms[fact.room] = None
            elif isinstance(fact, AccountsLinked):
                managed = [room for view in await self._after(db, fact) for room in sorted(view.manages)]
                rooms.update(dict.fromkeys(managed))
            elif isinstance(fact, SanctionStarted) and fact.kind == "demote":
                person = await queries.person_view(db, fact.subject, now_ms=0, recent_since=0)
                rooms.update(dict.fromkeys(sorted(person.manages)))
        return list(rooms)

    async def _duties(self, db: AsyncConnection, rooms: Sequence[RoomId], now_ms: int) -> dict[RoomId, Duty]:
        found: dict[RoomId, Duty] = {}
        for room in rooms:
            if (view := await self._knowledge.room(db, room)) is not None:
                found[room] = await self._duty(db, view, now_ms)
        return found

    async def _duty(self, db: AsyncConnection, room: RoomView, now_ms: int) -> Duty:
        policy = self._policy
        return await queries.duty_of(db, room, policy.operators, now_ms, at_most=policy.duty.at_most)

    async def _idle_owners(
        self, db: AsyncConnection, duties: dict[RoomId, Duty], now_ms: int
    ) -> dict[tuple[RoomId, UserId], Context]:
        owners: dict[tuple[RoomId, UserId], Context] = {}
        for room, duty in duties.items():
            if not on_duty(duty, now_ms):
                found = await self._contexts(db, room, duty.owners, now_ms)
                owners |= {(room, user): context for user, context in found.items()}
        return owners

    async def _contexts(
        self, db: AsyncConnection, room: RoomId, users: Sequence[UserId], now_ms: int
    ) -> dict[UserId, Context]:
        view = await self._knowledge.room(db, room)
        assert view is not None
        return {user: await self._knowledge.context(db, view, user, now_ms) for user in users}

    async def waiting(self, db: AsyncConnection, n: int, now_ms: int) -> WaitingCase | None:
        """Return a case whose deadline has passed, with its context; None if its room is not served any more."""
        case = await queries.case_view(db, n)
        room = await self._knowledge.room(db, case.room) if case else None
        if case is None or room is None or not room.active:
            return None
        duty = await self._duty(db, room, now_ms)
        assigned = await queries.assigned_to(db, n, case.asked)
        return WaitingCase(
            case=case,
            now_ms=now_ms,
            policy=self._policy,
            next_case=self._knowledge.next_case,
            duty=duty,
            context=await self._knowledge.context(db, room, case.subject, now_ms),
            assigned=assigned,
            told=await queries.told_of(db, n, case.asked),
            gone=await queries.gone_from(db, n, case.asked),
            charged=await queries.charged_for(db, n),
            people=await self._contexts(db, case.room, assigned, now_ms),
            measures=await queries.measures_of_room(db, case.room),
            task=n in await queries.tasks_about(db, [n]),
            room_answers=not await queries.reports_paused(db, n, room.room, now_ms),
        )

    async def known(self, db: AsyncConnection, n: int) -> StatementContext | None:
        """Return what a statement of reasons needs to know of a case; None if the case or its room is not known."""
        case = await queries.case_view(db, n)
        room = await self._knowledge.room(db, case.room) if case else None
        if case is None or room is None:
            return None
        return StatementContext(
            case=case,
            code=room.code,
            sent=await self._sent(db, case),
            reported=await queries.is_reported(db, n),
            policy=self._policy,
        )

    async def _sent(self, db: AsyncConnection, case: CaseView) -> int:
        row = await queries.said_row(db, case.events[0]) if case.events else None
        return int(row.at) if row is not None else 0


async def _waits(db: AsyncConnection, fact: Fact) -> bool:
    """Tell whether a case begins to wait because of this fact."""
    if isinstance(fact, CaseDecided):
        return bool(await queries.waiting_with(db, fact.n))
    return isinstance(fact, Appealed) or (isinstance(fact, CaseOpened) and fact.state == "open")


def _rooms_of(facts: Sequence[Fact]) -> list[RoomId]:
    return list(dict.fromkeys(fact.room for fact in facts if fact.room is not None))
