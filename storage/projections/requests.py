"""Verification that rooms ask for: where a change asks for more than before, people's time begins."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.people.verification import Asks, room_demands, with_choice
from moderation.policy import Policy, VerificationSettings
from moderation.values.ids import RoomId
from storage import schema
from storage.state.owner_choices import choices_of

from .common import get_meta


async def asked_for_more(db: AsyncConnection, policy: str, at_ms: int) -> None:
    """Restart people's time to be verified in rooms that ask for more than before."""
    before = await get_meta(db, "policy")
    now, was = (_verification_of(text) for text in (policy, before))
    if now == was:
        return
    groups = select(schema.rooms.c.room, schema.rooms.c.code).where(schema.rooms.c.purpose == "group")
    for room, code in (await db.execute(groups)).all():
        chosen = await choices_of(db, room)
        if with_choice(room_demands(now, room, code), chosen).more_than(
            with_choice(room_demands(was, room, code), chosen)
        ):
            await db.execute(update(schema.rooms).where(schema.rooms.c.room == room).values(asked=at_ms))


def _verification_of(policy: str | None) -> VerificationSettings:
    """Return what a recorded policy asks of rooms; the defaults if it was erased."""
    return Policy.model_validate_json(policy).verification if policy else VerificationSettings()


async def asked_now(db: AsyncConnection, room: RoomId) -> Asks:
    """Return what a room asks of people now."""
    code = await db.scalar(select(schema.rooms.c.code).where(schema.rooms.c.room == room))
    policy = _verification_of(await get_meta(db, "policy"))
    return with_choice(room_demands(policy, room, str(code)), await choices_of(db, room))
