"""The ends of what holds in all shards, as far as one fact here ends several records.

Left to others: which records cross (`moderation/shards/crossing.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import CaseDecided, Fact, ListSpared, OrderRecalled
from moderation.policy import Policy
from storage import queries
from storage.queries.shards import orders_in_force


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
