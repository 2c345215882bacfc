"""The ends of what holds in all shards, as far as one fact here ends several records.

Rules kept here:
- One fact that ends several records becomes one for each.
- An end of what was learnt, and of which that record is purged, is said once more by a record that names the place in
  the other log: nothing else could prove what it ends.

Left to others: which records cross (`moderation/shards/crossing.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import CaseDecided, Fact, ListSpared, OrderRecalled
from moderation.policy import Policy
from moderation.shards.crossing import Purged, crosses, named, needed
from storage import queries
from storage.projections import PURGED
from storage.queries.shards import begun_elsewhere, orders_in_force

from .unit_of_work import UnitOfWork


async def for_all_shards(db: AsyncConnection, facts: Sequence[Fact], policy: Policy, at_ms: int) -> list[Fact]:
    """Return the facts, with those by which what they end is ended in all shards, too.

    - One that takes back all that spares somebody becomes one for each record. So other shards take back the same, in
      whatever order they learn of it.
    - With the reversal of its case an order is recalled: by whoever may reverse it where the order was given, elsewhere
      by operators. A decision by others there reaches as far as their case.
    """
    found: list[Fact] = []
    for fact in facts:
        if isinstance(fact, CaseDecided) and fact.what == "dismissed":
            found += [fact, *await _recalled(db, fact, policy, at_ms)]
        elif isinstance(fact, ListSpared) and fact.step == "unspared" and fact.undoes < 0:
            records = await queries.records_sparing(db, fact)
            found += [replace(fact, undoes=record) for record in records] or [fact]
        else:
            found.append(fact)
    return found


async def with_names(unit: UnitOfWork, facts: list[Fact], _cause: int, _at_ms: int) -> list[Fact]:
    """Return the facts, with one more for each that ends what was learnt in a record which is purged."""
    ends = [fact for fact in facts if needed(fact) >= 0 and crosses(fact, Purged())]
    purged = int(await queries.get_meta(unit.db, PURGED) or 0) if ends else 0
    places = [(end, await begun_elsewhere(unit.db, needed(end))) for end in ends if needed(end) < purged]
    return [*facts, *(named(end, place) for end, place in places if place is not None)]


async def _recalled(db: AsyncConnection, dismissed: CaseDecided, policy: Policy, at_ms: int) -> list[OrderRecalled]:
    return [
        OrderRecalled(
            room=dismissed.room,
            on=dismissed.on,
            start=order.record,
            why="reversed",
            n=order.n,
            subject=order.subject,
            by=dismissed.by,
        )
        for order in await orders_in_force(db, at_ms, n=dismissed.n)
        if order.origin == "-" or dismissed.by in policy.operators
    ]
