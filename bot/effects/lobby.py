"""The lobby of a gated group: a room that everybody can enter, where people read how to be let in.

Rules kept here:
- Only the bot can write in it: newcomers are not exposed to each other, and nothing they say is recorded.
- It exists as long as the group is gated.
- People in it who become verified are invited into the group.
- Every step can be repeated: after a crash in the middle all steps are done again.

Left to others: who may come in, and what people are told (`moderation/people/verification.py`), the group's join rule
(`align_room.py`).
"""

from collections.abc import Iterable
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.bot_rooms.create import RoomPurpose, body, take_up
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.matrix_message import MESSAGE
from moderation.model.actions.rooms import KeepLobby, LetIn
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.context import RoomView
from moderation.model.facts import RoomStateChanged
from moderation.people.verification import asked_of
from moderation.policy import Policy
from moderation.values.events import Json
from moderation.values.ids import RoomId, server_of
from moderation.values.notices import Code, Line, RoomName, line
from storage import queries

PINNED = "m.room.pinned_events"
JOIN_RULES = "m.room.join_rules"


class Lobbies(ActionHandler):
    """The handlers of `KeepLobby` and `LetIn`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {KeepLobby: self.keep, LetIn: self.let_in}

    async def keep(self, action: KeepLobby, txn: str) -> Done:
        """Make the lobby and say what to do in it; or close it, if the group is not gated any more."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            lobby = await queries.lobby_of(db, group.code) if group else None
        if group is None:
            return Done(result="abandoned")
        if not (group.active and asked_of(group, self._policy).gated):
            return await self._close(lobby, group, txn) if lobby else Done()
        if lobby is None and group.condition != "protected":
            return Done(result="abandoned")  # made once the bot can act
        if lobby is None:
            lobby = await self._make(group)
        if await self._homeserver.state_event(lobby, PINNED) is not None:
            return Done(made=lobby)
        notice = await self._homeserver.send(lobby, MESSAGE, self._message(group, self._pinned(group)), f"{txn}.pinned")
        await self._homeserver.set_state(lobby, PINNED, {"pinned": [notice]})
        link = Code(_link(lobby, server_of(self._homeserver.user)))
        told = TellDesk(room=group.room, lines=(line("lobby.desk", lobby=link),), once="lobby")
        return Done(made=lobby, actions=(told,))

    async def let_in(self, action: LetIn, _txn: str) -> Done:
        """Invite somebody into the group, unless they are in it, invited or banned."""
        if not await self._invite_unless_there(action.room, action.subject):
            return Done()
        words = line("door.admitted", room=RoomName(action.room))
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=(words,), alone=True),))

    async def _make(self, group: RoomView) -> RoomId:
        made = RoomPurpose("lobby", served=group.code)
        called = self._called(group)
        name, topic = (self._text(group, line(key, room=called)) for key in ("lobby.name", "lobby.topic"))
        lobby = await self._homeserver.create_room(_open_to_all(body(made, name=name, topic=topic, invite=())))
        await take_up(self._pipeline, made, lobby)
        return lobby

    async def _close(self, lobby: RoomId, group: RoomView, txn: str) -> Done:
        """Close a lobby that is of no use any more: tell the people in it, let nobody new in, and leave."""
        words = self._message(group, (line("lobby.closed", room=self._called(group)),))
        if lobby in await self._homeserver.joined_rooms():
            await self._homeserver.send(lobby, MESSAGE, words, f"{txn}.closed")
            await self._homeserver.set_state(lobby, JOIN_RULES, {"join_rule": "invite"})
            await self._homeserver.leave(lobby)
        return Done((RoomStateChanged(room=lobby, condition="left"),))

    def _pinned(self, group: RoomView) -> tuple[Line, ...]:
        called = self._called(group)
        steps = (line("lobby.steps.hello"), line("lobby.steps.then", room=called))
        return (line("lobby.pinned", room=called), *steps, line("lobby.private", room=called))

    def _called(self, group: RoomView) -> str:
        return group.name or group.code

    def _text(self, group: RoomView, *lines: Line) -> str:
        return self._speech.text(lines, self._speech.language(group.language), {}).plain

    def _message(self, group: RoomView, lines: tuple[Line, ...]) -> dict[str, Json]:
        return self._speech.message(lines, self._speech.language(group.language), {})


async def gated_groups(db: AsyncConnection, policy: Policy) -> tuple[RoomId, ...]:
    """Return the groups in which people must ask before they come in."""
    return tuple(each.room for each in await queries.asking_groups(db) if asked_of(each, policy).gated)


async def lobbies_to_look_after(db: AsyncConnection, gated: Iterable[RoomId]) -> tuple[KeepLobby, ...]:
    """Return what to do at the start: for groups that are gated, and for those that have a lobby."""
    return tuple(KeepLobby(room=room) for room in dict.fromkeys((*gated, *await queries.with_lobby(db))))


def _open_to_all(request: dict[str, Json]) -> dict[str, Json]:
    """Return the request for a room that everybody can enter and in which only the bot can write."""
    levels, state = request["power_level_content_override"], request["initial_state"]
    assert isinstance(levels, dict)
    assert isinstance(state, list)
    public: Json = {"type": JOIN_RULES, "state_key": "", "content": {"join_rule": "public"}}
    return {
        **request,
        "power_level_content_override": {**levels, "events_default": 100, "events": {"m.reaction": 100}},
        "initial_state": [*state, public],
    }


def _link(room: RoomId, server: str) -> str:
    """Return a link that clients can open; it names a server, since ids of new rooms do not say where they are."""
    return f"https://matrix.to/#/{quote(room, safe='!:')}?via={quote(server, safe=':')}"
