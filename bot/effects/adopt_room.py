"""The move of a group into a room whose only creator is the bot, so that no person in it stands above every level.

Rules kept here:
- The new room is made once: it carries a mark of what it was made for, by which it is found after a crash.
- Levels, bans and settings are copied as they are; the creators of the old room get level 100.
- The old room points to the new one only when the new one exists.
- The members of the old room are invited one by one, so that nothing else has to wait.

Left to others: following the tombstone, which makes the new room the group's (`bot/pipeline/room_changes.py`,
`join_room.py`); who may ask for it (`bot/commands/adopt.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.bot_rooms.create import MARK
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.pipeline.room_changes import TOMBSTONE
from moderation.model.actions.rooms import Adopt, Bring
from moderation.model.context import RoomView
from moderation.values.events import Json
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import line
from moderation.values.power_levels import OWNER_LEVEL
from storage import queries

VERSION = "12"  # of the new room: the first in which a creator stands above every level
LEVELS = "m.room.power_levels"
COPIED = (
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.server_acl",
)
_KEPT_OF_CREATION = ("type", "m.federate")


class Adopter(ActionHandler):
    """The handlers of `Adopt` and `Bring`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {Adopt: self.adopt, Bring: self.bring}

    async def adopt(self, action: Adopt, _txn: str) -> Done:
        """Make the new room, point the old one to it, and invite everybody; steps that are done already are skipped."""
        group = await self._database.fetch(queries.room_view, action.room, self._homeserver.user)
        if group is None or group.condition == "left":
            return Done(result="abandoned")
        state = await self._homeserver.state(action.room)
        created = _content(state, "m.room.create")
        if created.get(MARK) == _mark(group):  # the group is there already
            return await self._invited(RoomId(created["predecessor"]["room_id"]), action.room)
        new, goes_to = await self._made(group), _content(state, TOMBSTONE).get("replacement_room")
        if goes_to is not None:
            ours = new is not None and new == goes_to
            return await self._invited(action.room, RoomId(goes_to)) if ours else Done(result="abandoned")
        if new is None:
            new = await self._homeserver.create_room(request(group, state, self._homeserver.user))
        for user in _with(await self._homeserver.members(action.room), "ban"):
            await self._homeserver.ban(new, user)
        words = self._speech.text((line("adopt.tombstone"),), self._speech.language(group.language), {}).plain
        await self._close(action.room, state, group)
        await self._homeserver.set_state(action.room, TOMBSTONE, {"body": words, "replacement_room": new})
        return await self._invited(action.room, new)

    async def _invited(self, old: RoomId, new: RoomId) -> Done:
        there = _with(await self._homeserver.members(old), "join")
        brought = (Bring(room=new, subject=user) for user in there if user != self._homeserver.user)
        return Done(made=new, actions=tuple(brought))

    async def bring(self, action: Bring, _txn: str) -> Done:
        """Invite somebody into the new room of their group, unless they are in it, invited or banned."""
        await self._invite_unless_there(action.room, action.subject)
        return Done()

    async def _made(self, group: RoomView) -> RoomId | None:
        """Return the room that was made for this group before the bot was stopped, or None."""
        for room in await self._homeserver.joined_rooms():
            created = await self._homeserver.state_event(room, "m.room.create")
            if created is not None and created.get(MARK) == _mark(group):
                return room
        return None

    async def _close(self, old: RoomId, state: Sequence[Mapping[str, Any]], group: RoomView) -> None:
        """Let only managers write in the old room, since it is not moderated any more."""
        levels, least = _content(state, LEVELS), group.power.manager_level()
        if int(levels.get("events_default") or 0) < least:
            await self._homeserver.set_state(old, LEVELS, {**levels, "events_default": least})


def request(group: RoomView, state: Sequence[Mapping[str, Any]], bot: UserId) -> dict[str, Json]:
    """Return the request for `/createRoom`."""
    created = _content(state, "m.room.create")
    copied: list[Json] = [
        {"type": kind, "state_key": "", "content": content} for kind in COPIED if (content := _content(state, kind))
    ]
    return {
        "preset": "private_chat",
        "visibility": "private",
        "room_version": VERSION,
        "creation_content": {
            **{name: created[name] for name in _KEPT_OF_CREATION if name in created},
            MARK: _mark(group),
            "predecessor": {"room_id": group.room},
        },
        "power_level_content_override": levels(_content(state, LEVELS), group, bot),
        "initial_state": copied,
    }


def levels(before: Mapping[str, Any], group: RoomView, bot: UserId) -> dict[str, Json]:
    """Return the levels as they are, but with 100 for the creators; the bot stands above them without an entry."""
    users = {user: min(level, OWNER_LEVEL) for user, level in group.power.users.items() if user != bot}
    users |= dict.fromkeys(sorted(group.power.creators - {bot}), OWNER_LEVEL)
    return {**before, "users": dict(users)}


def _mark(group: RoomView) -> dict[str, Json]:
    return {"purpose": "adopt", "served": group.code, "user": ""}


def _content(state: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    return next((dict(each["content"]) for each in state if each.get("type") == kind and not each.get("state_key")), {})


def _with(members: Sequence[Mapping[str, Any]], membership: str) -> list[UserId]:
    return sorted(
        UserId(each["state_key"]) for each in members if each.get("content", {}).get("membership") == membership
    )
