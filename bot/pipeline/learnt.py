"""The consequences of facts learnt from another shard: of balances, links of accounts, orders, and who is spared.

Rules kept here:
- It follows with the record of what was learnt, so a crash in between changes nothing.
- Nothing follows from a record that was learnt before.
- An order whose time is over, or whose end is known, is not carried out, also not by a start after a crash: the record
  says so of an end that was only to be read then.

Left to others: which balance brings what (`moderation/credit/tiers.py`), rooms that have to be brought in line
(`moderation/consequences/follow.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.everywhere import carry_out
from moderation.cases.manager_orders import Order
from moderation.cases.obligations import derive_obligations
from moderation.credit.ledger import with_entry
from moderation.credit.tiers import entry_learnt
from moderation.model.context import RoomView
from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    CreditChanged,
    Fact,
    Learnt,
    ListSpared,
    OrderedEverywhere,
    WhyEnded,
)
from moderation.policy import Policy
from moderation.shards.applying import applied
from moderation.values.ids import PersonId, UserId
from storage import queries
from storage.projections.common import person_of
from storage.projections.shards import changed_by, is_learnt, order_of, waiting_for

from .case_context import CaseContextLoader
from .listed_servers import people_said_so
from .view_cache import ViewCache


class LearntConsequences:
    """Finds what follows from what is being learnt."""

    def __init__(self, knowledge: ViewCache, loader: CaseContextLoader, policy: Policy) -> None:
        self._knowledge = knowledge
        self._loader = loader
        self._policy = policy

    async def of(self, db: AsyncConnection, facts: Sequence[Fact], cause: int, at_ms: int) -> list[Fact]:
        """Return what follows from the facts, which are not applied yet, and is not among them."""
        found: list[Fact] = []
        for fact in facts:
            if isinstance(fact, Learnt) and (fact.subject or fact.server) and not await is_learnt(db, fact):
                changed = await changed_by(db, fact) if fact.refers >= 0 else -1
                if changed is not None:
                    found += await self._follow(db, fact, changed, cause, at_ms)
        return [each for each in found if each not in facts]

    async def _ordered(self, db: AsyncConnection, fact: Learnt, cause: int, at_ms: int) -> Sequence[Fact]:
        """Carry out a ban from all rooms that was ordered in another shard, unless it is over or recalled already."""
        if fact.over or 0 < fact.until <= at_ms or await waiting_for(db, fact):
            return ()
        found = [await self._knowledge.room(db, room) for room in await queries.active_groups(db)]
        rooms = [room for room in found if room is not None]
        if not rooms:
            return ()
        context = await self._knowledge.context(db, rooms[0], fact.subject, at_ms)
        order = Order(by=fact.by, on=cause, context=context, policy=self._policy)
        done = carry_out(order, rooms, until=fact.until, reason=fact.reason)
        noted = OrderedEverywhere(
            room=done[0].room if done else None,
            on=cause,
            until=fact.until,
            n=context.next_case,
            origin=fact.origin,
            era=fact.era,
            index=fact.index,
            subject=fact.subject,
            by=fact.by,
            reason=fact.reason,
        )
        return (*done, noted) if done else ()

    async def _recalled(self, db: AsyncConnection, fact: Learnt, cause: int) -> Sequence[Fact]:
        """End here what a recalled order had brought."""
        order = await order_of(db, fact)
        if order is None:
            return ()
        why: WhyEnded = "reversed" if fact.why == "reversed" else "command"
        held = await queries.sanctions_of_accounts(db, [order.subject])
        return [each.end(why, on=cause) for each in held if (each.kind, each.n) == ("ban", order.n)]

    async def _follow(self, db: AsyncConnection, fact: Learnt, changed: int, cause: int, at_ms: int) -> Sequence[Fact]:
        if fact.what == "ordered":
            return await self._ordered(db, fact, cause, at_ms)
        if fact.what == "recalled":
            return await self._recalled(db, fact, cause)
        as_here = applied(fact, changed)
        if isinstance(as_here, CreditChanged):
            undone = await waiting_for(db, fact)
            return () if undone else await self._of_entry(db, replace(as_here, on=cause), fact.made, at_ms)
        if isinstance(as_here, AccountsLinked | AccountUnlinked):
            linked = replace(as_here, on=cause)
            around = await self._loader.load(db, [linked], on=cause, now_ms=at_ms)
            return [each for each in derive_obligations([linked], around) if each is not linked]
        if isinstance(as_here, ListSpared) and as_here.step == "spared":
            undone = await waiting_for(db, fact)
            return () if undone else await self._of_sparing(db, as_here, cause)
        return ()

    async def _of_sparing(self, db: AsyncConnection, spared: ListSpared, cause: int) -> Sequence[Fact]:
        """Return the ends of what rests on a list that no longer touches somebody, or a server."""
        if spared.server:
            denied = await queries.denied_by_lists(db)
            return [each.end("command", on=cause) for each in denied if fnmatchcase(spared.server, each.server)]
        matches = await queries.list_matches(db, person=PersonId(await person_of(db, spared.subject)))
        of_list = {match.n for match in matches if match.list == spared.list}
        held = await queries.sanctions_of_accounts(db, {match.subject for match in matches})
        bans = (each for each in held if (each.kind, each.basis) == ("ban", "list") and each.n in of_list)
        return [each.end("command", on=cause) for each in bans if not await people_said_so(db, each.n)]

    async def _of_entry(self, db: AsyncConnection, entry: CreditChanged, made_ms: int, at_ms: int) -> Sequence[Fact]:
        place = await self._place(db, entry.subject)
        if place is None:
            return ()  # nothing can hold where there is no room
        context = await self._knowledge.context(db, place, entry.subject, at_ms)
        after = with_entry(context.subject, entry, made_ms)
        return entry_learnt(context, self._policy, after, entry)

    async def _place(self, db: AsyncConnection, user: UserId) -> RoomView | None:
        """Return a group from which to look at somebody: one that they are in, if there is one."""
        rooms = await queries.groups_of_person(db, user) or await queries.active_groups(db)
        return await self._knowledge.room(db, rooms[0]) if rooms else None
