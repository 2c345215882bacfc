"""What is known of the logs of other shards."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import schema

_t = schema.learnt.c


async def known_log(db: AsyncConnection, origin: str) -> Any | None:
    """Return up to where another log was learnt, in its newest era, with the size and root that proved it."""
    newest = select(_t.era).where(_t.origin == origin).order_by(_t.record.desc()).limit(1).scalar_subquery()
    last = select(_t.era, _t.position, _t.size, _t.root).where(_t.origin == origin, _t.era == newest)
    return (await db.execute(last.order_by(_t.position.desc(), _t.record.desc()).limit(1))).first()


async def pinned_key(db: AsyncConnection, origin: str) -> str | None:
    """Return the key of another log, as it was first seen."""
    keys = schema.shard_keys.c
    key = await db.scalar(select(keys.vkey).where(keys.origin == origin))
    return str(key) if key is not None else None
