"""The making of the rooms that the bot itself needs: desks, direct rooms and lobbies.

Rules kept here:
- A transaction id cannot make the creation of a room idempotent. So each room says in its `m.room.create` what it was
  made for.
- A room that was made but not recorded (a crash in between) is recognised by that when it appears in `/sync`, and taken
  over instead of being made again.
- Such rooms are private, and people who join later can read what was said before. (A lobby is made open to all by
  `bot/effects/lobby.py`.)
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto.encrypting_client import ALGORITHM, ENCRYPTION
from bot.pipeline.pipeline import Pipeline
from moderation.model.context import Purpose
from moderation.model.facts import Fact, RoomEntered
from moderation.values.events import Json
from moderation.values.ids import GroupCode, RoomId, UserId, group_code
from storage import queries

AVATAR = "m.room.avatar"
MARK = "org.answerable.made_for"


@dataclass(frozen=True, slots=True)
class RoomPurpose:
    """The purpose of a room of the bot's own."""

    purpose: Purpose  # desk | direct | lobby
    served: str = "-"  # group code
    user: str = ""


def body(
    made: RoomPurpose, *, name: str, topic: str, invite: Sequence[UserId], encrypted: bool = False, picture: str = ""
) -> dict[str, Json]:
    """Return the request body for `/createRoom`; `encrypted` if the room it serves is encrypted."""
    mark: dict[str, Json] = {"purpose": made.purpose, "served": made.served, "user": made.user}
    return {
        "preset": "private_chat",
        "visibility": "private",
        "name": name,
        "topic": topic,
        "invite": list(invite),
        "is_direct": made.purpose == "direct",
        "creation_content": {MARK: mark},
        # Only the bot lets people in: a desk is for those who manage the group, and for nobody they would bring.
        "power_level_content_override": dict.fromkeys(("invite", "kick", "ban", "redact", "state_default"), 100),
        "initial_state": [
            {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "shared"}},
            {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "forbidden"}},
            *([{"type": AVATAR, "state_key": "", "content": {"url": picture}}] if picture else ()),
            *([{"type": ENCRYPTION, "state_key": "", "content": {"algorithm": ALGORITHM}}] if encrypted else ()),
        ],
    }


def made_for(create_content: object) -> RoomPurpose | None:
    """Return the purpose that the content of an `m.room.create` states; None if it states none."""
    mark = create_content.get(MARK) if isinstance(create_content, dict) else None
    if not isinstance(mark, dict):
        return None
    purpose, served, user = mark.get("purpose"), mark.get("served", "-"), mark.get("user", "")
    if purpose not in ("desk", "direct", "lobby") or not isinstance(served, str) or not isinstance(user, str):
        return None
    return RoomPurpose(purpose, served, user)


def entered(made: RoomPurpose, room: RoomId, code: GroupCode) -> RoomEntered:
    """Return the fact that such a room is the bot's own from now on."""
    return RoomEntered(
        code=code,
        purpose=made.purpose,
        served=made.served,
        room_id=room,
        subject=UserId(made.user),
    )


async def take_up(pipeline: Pipeline, made: RoomPurpose, room: RoomId) -> None:
    """Record once that a room is the bot's own: `/sync` may tell of it before the request that makes it is answered."""

    async def facts(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        if not await queries.codes_of(db, [room]):
            yield (entered(made, room, await new_code(db)),)

    await pipeline.commit_with(facts)


async def new_code(db: AsyncConnection) -> GroupCode:
    """Return a group code that no room has yet."""
    while await queries.has_code(db, code := group_code(secrets.randbelow(32**4))):
        pass
    return code


async def code_of(db: AsyncConnection, room: RoomId) -> GroupCode:
    """Return the code of a room; a new one if the room is not known."""
    return (await queries.codes_of(db, [room])).get(room) or await new_code(db)
