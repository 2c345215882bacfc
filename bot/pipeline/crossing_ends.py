"""The ends of what holds in all shards, as far as one fact here ends several records.

Left to others: which records cross (`moderation/shards/crossing.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Fact, ListSpared
from storage import queries


async def one_by_one(db: AsyncConnection, facts: Sequence[Fact]) -> list[Fact]:
    """Return the facts, with one for each record in place of one that takes back all that spares somebody.

    So other shards take back the same, in whatever order they learn of it.
    """
    found: list[Fact] = []
    for fact in facts:
        if isinstance(fact, ListSpared) and fact.step == "unspared" and fact.undoes < 0:
            records = await queries.records_sparing(db, fact)
            found += [replace(fact, undoes=record) for record in records] or [fact]
        else:
            found.append(fact)
    return found
