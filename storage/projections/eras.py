"""The eras of this log and of those that it learns from.

Left to others: what follows from them (`moderation/shards/eras.py`).
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.shards.eras import Era, is_kept, written_in
from storage import schema

from .common import get_meta, set_meta

OWN_ERAS = "eras"  # of this log, each with the number of records from which it goes on

_t = schema.learnt.c


async def note_own_era(db: AsyncConnection, era: str, size: int) -> None:
    """Note that this log goes on, in a new era, from a backup of `size` records."""
    before = await get_meta(db, OWN_ERAS)
    await set_meta(db, OWN_ERAS, f"{before or ''} {era}={size}".strip())


async def is_ours(db: AsyncConnection, era: str, index: int) -> bool:
    """Tell whether a record of this log that another one names in an era stands in it now."""
    noted = (each.rpartition("=") for each in (await get_meta(db, OWN_ERAS) or "").split())
    return is_kept([Era(name, int(size)) for name, _, size in noted], era, index)


async def eras_of(db: AsyncConnection, origin: str) -> list[Era]:
    """Return the eras of another log that were heard of, in order, without the first one."""
    begun = select(_t.era, _t.idx).where(_t.origin == origin, _t.what == "restored").order_by(_t.record)
    return [Era(row.era, row.idx) for row in await db.execute(begun)]


async def eras_naming(db: AsyncConnection, origin: str, era: str, index: int) -> tuple[str, ...]:
    """Return the eras of another log in which a record may have been written that was named in `era`."""
    return written_in(await eras_of(db, origin), era, index)
