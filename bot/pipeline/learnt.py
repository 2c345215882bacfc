"""The consequences of facts learnt from another shard: of balances, of accounts now linked, and of who is spared.

Rules kept here:
- It follows with the record of what was learnt, so a crash in between changes nothing.
- Nothing follows from a record that was learnt before.

Left to others: which balance brings what (`moderation/credit/tiers.py`), rooms that have to be brought in line
(`moderation/consequences/follow.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.obligations import derive_obligations
from moderation.credit.ledger import with_entry
from moderation.credit.tiers import entry_learnt
from moderation.model.context import RoomView
from moderation.model.facts import AccountsLinked, AccountUnlinked, CreditChanged, Fact, Learnt, ListSpared
from moderation.policy import Policy
from moderation.shards.applying import applied
from moderation.values.ids import PersonId, UserId
from storage import queries
from storage.projections.common import person_of
from storage.projections.shards import changed_by, is_learnt, waiting_for

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

    async def _follow(self, db: AsyncConnection, fact: Learnt, changed: int, cause: int, at_ms: int) -> Sequence[Fact]:
        as_here = applied(fact, changed)
        if isinstance(as_here, CreditChanged):
            undone = await waiting_for(db, fact.origin, fact.index)
            return () if undone else await self._of_entry(db, replace(as_here, on=cause), fact.made, at_ms)
        if isinstance(as_here, AccountsLinked | AccountUnlinked):
            linked = replace(as_here, on=cause)
            around = await self._loader.load(db, [linked], on=cause, now_ms=at_ms)
            return [each for each in derive_obligations([linked], around) if each is not linked]
        if isinstance(as_here, ListSpared) and as_here.step == "spared":
            undone = await waiting_for(db, fact.origin, fact.index)
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
