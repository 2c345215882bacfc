"""The messages that are removed with a ban by an entry of a policy list, where the list may ask for it.

Left to others: whether it may (`moderation/cases/takedowns.py`), removing them (`bot/effects/sweep.py`).
"""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.manager_orders import SweepRange
from moderation.cases.takedowns import is_ban_by_entry, removal, removes_messages
from moderation.duty.responsibility import can_be_removed
from moderation.model.facts import Fact, ListMatched, SanctionStarted, Swept
from moderation.model.reach import holds_in
from moderation.policy import Policy
from moderation.values.ids import RoomId
from storage import queries

from .view_cache import ViewCache


def may_remove(facts: Sequence[Fact]) -> bool:
    """Return whether facts may ask to remove what somebody wrote."""
    return any(map(is_ban_by_entry, facts))


async def takedowns(
    db: AsyncConnection, facts: Sequence[Fact], knowledge: ViewCache, policy: Policy, *, cause: int, now_ms: int
) -> list[Swept]:
    """Return the removals that follow from these facts, which are not applied yet: one for each room.

    Rooms in which the person wrote nothing are left out, and those that the person helps to run.
    """
    known = {(fact.n, fact.room) for fact in facts if isinstance(fact, Swept)}
    found: dict[tuple[int, RoomId], Swept] = {}
    for ban in facts:
        if not isinstance(ban, SanctionStarted) or not is_ban_by_entry(ban):
            continue
        if not removes_messages(await _asking(db, facts, ban.n), policy.lists):
            continue
        for written in await _written(db, ban, knowledge, policy, cause, now_ms):
            if (ban.n, written.room) not in known:
                found.setdefault((ban.n, written.room), removal(ban, written, now_ms))
    return list(found.values())


async def _asking(db: AsyncConnection, facts: Sequence[Fact], n: int) -> Collection[str]:
    """Return the lists whose entries brought a case and ask to remove messages."""
    new = {fact.list for fact in facts if isinstance(fact, ListMatched) and (fact.n, fact.advice) == (n, "takedown")}
    return new | {match.list for match in await queries.list_matches(db, n=n) if match.advice == "takedown"}


async def _written(
    db: AsyncConnection, ban: SanctionStarted, knowledge: ViewCache, policy: Policy, cause: int, now_ms: int
) -> list[SweepRange]:
    """Return what the person of a ban wrote lately, in each room where the ban holds and the bot may remove them."""
    since, found = now_ms - policy.sweep.within, []
    for room_id in await queries.communities_of_person(db, ban.subject):
        room = await knowledge.room(db, room_id)
        if room is None or not holds_in(room, ban.room, ban.reach):
            continue
        context = await knowledge.context(db, room, ban.subject, now_ms)
        if not can_be_removed(context, policy):
            continue
        accounts = context.subject.accounts | {context.subject.user}
        places = await queries.with_former_rooms(db, room_id)
        said = await queries.written_since(db, places, accounts, since, policy.sweep.at_most, before=cause)
        if said:
            found.append(SweepRange(room_id, since, len(said), said[-1].record))
    return found
