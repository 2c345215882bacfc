"""Verification that rooms ask for: where a change asks for more than before, people's time begins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import Choices
from moderation.people.verification import Asks, room_demands, with_choice
from moderation.policy import Policy, VerificationSettings
from storage import schema
from storage.state.owner_choices import all_choices

from .common import get_meta, set_meta
from .communities import regroup


async def change_policy(db: AsyncConnection, policy: str, at_ms: int) -> None:
    """Let a policy hold from now on. Rooms may be in another community, and ask for more than before."""
    was, now = await get_meta(db, "policy"), _verification_of(policy)
    if now == _verification_of(was) and not now.rooms:
        await _hold(db, policy)
        return
    async with restarting(db, at_ms):
        await _hold(db, policy)


async def _hold(db: AsyncConnection, policy: str) -> None:
    await set_meta(db, "policy", policy)
    await regroup(db)


@asynccontextmanager
async def restarting(db: AsyncConnection, at_ms: int, *, room: str = "") -> AsyncIterator[None]:
    """Restart people's time to be verified in each group, or one, that asks for more after the body than before."""
    before = await _asked(db, room)
    yield
    for each, asks in (await _asked(db, room)).items():
        if asks.more_than(before[each]):
            await db.execute(update(schema.rooms).where(schema.rooms.c.room == each).values(asked=at_ms))


async def _asked(db: AsyncConnection, room: str) -> dict[str, Asks]:
    """Return what each group, or one, asks of people now."""
    r, asks, choices = schema.rooms.c, _verification_of(await get_meta(db, "policy")), await all_choices(db, room)
    groups = select(r.room, r.code, r.community).where(r.purpose == "group")
    return {
        row.room: with_choice(
            room_demands(asks, row.room, row.code, community=row.community), choices.get(row.room, Choices())
        )
        for row in await db.execute(groups.where(r.room == room) if room else groups)
    }


def _verification_of(policy: str | None) -> VerificationSettings:
    """Return what a recorded policy asks of rooms; the defaults if it was erased."""
    return Policy.model_validate_json(policy).verification if policy else VerificationSettings()
