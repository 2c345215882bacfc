"""Events that were refused before their delivery."""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import MessageWithheld
from storage import schema

from .common import add, project


@project.register
async def _(fact: MessageWithheld, db: AsyncConnection, index: int, _at_ms: int) -> None:
    if fact.event:  # else it is erased
        await add(db, schema.withheld, fact, index, fact.refused)
