"""The setting of a room by which it asks the policy server before it delivers messages: read, compared, written.

Rules kept here:
- It is written only once the policy server's user is in the room and it was reached from outside: before that, nobody
  could write there any more.
- What names another policy server is left alone.
- What names ours with another key is put right, and the owners are told.
- If the bot lacks the power, the owners are told what to set by hand.
- A room that the bot leaves stops asking: nobody would record any more what is refused there. So does a room whose
  group continues in another one.

Left to others: what should be there (`moderation/rooms/policy_server.py`), when to look (`bot/sync/policy_watch.py`,
`bot/pipeline/room_changes.py`), joining (the process `answerable policy`).
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from moderation.model.actions.rooms import AlignPolicy
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import Fact, PolicyServerSet
from moderation.rooms.policy_server import POLICY_STATE, asked_name, is_ours, to_write
from moderation.values.events import Json
from moderation.values.ids import NO_USER, RoomId, UserId
from moderation.values.notices import Code, Line, RoomName, Who, line
from storage import queries

JOIN_RULES = "m.room.join_rules"


@dataclass(frozen=True, slots=True)
class AskedServer:
    """The policy server of this deployment: its name, its user, and what is known of it at the moment.

    `key`: its public key, "" if it has never run; reads the disk. `reached`: whether it can be reached from outside.
    """

    name: str
    user: UserId
    key: Callable[[], str]
    reached: Callable[[], bool]


class PolicyStates(ActionHandler):
    """The handler of `AlignPolicy`. Without a policy server it stops rooms from asking."""

    def __init__(
        self, services: Services, server: AskedServer | None, former_key: Callable[[], str] = lambda: ""
    ) -> None:
        """Set up; `former_key` returns the public key of a policy server that was here, "": not known."""
        super().__init__(services)
        self._former_key = former_key
        self.handles: Handlers = {AlignPolicy: self.handle}
        self._server = server
        self._told: dict[RoomId, str] = {}  # what the owners were last told, since the start

    async def handle(self, action: AlignPolicy, _txn: str) -> Done:
        """Read what the room asks, compare it with what was chosen, and write the difference."""
        server, room = self._server, action.room
        async with self._database.read() as db:
            view = await queries.room_view(db, room, self._homeserver.user)
            chosen = await queries.room_that_asks(db, room)
            former = view is None and await queries.is_former_room(db, room)
        if former:
            with suppress(Forbidden):
                await self._empty(room)
            return Done()
        if view is None or view.condition == "left":
            return Done(result="abandoned")
        if server is None:  # there was one
            return await self._end(room)
        asks = chosen is not None and not chosen.down_ms and view.active
        if asks and not await self._can_be_asked(server, room):
            return Done()  # `AlignPolicy` comes again once it can
        present = await self._homeserver.state_event(room, POLICY_STATE)
        if asks and asked_name(present) and not is_ours(present, server.name, server.key()):
            return Done(result="refused", actions=self._occupied(room, asked_name(present)))
        written = to_write(present, server.name, server.key(), asks=asks)
        if written is None:
            self._told.pop(room, None)
            return Done()
        try:
            await self._homeserver.set_state(room, POLICY_STATE, written)
        except Forbidden:
            return Done(result="refused", actions=self._by_hand(room, written, action.by))
        if not (asks and action.by):
            return Done()
        lines = (_changed(room, action.by), line("policy.put-right", room=RoomName(room)))
        return Done(actions=(TellAbove(room=room, lines=lines, owners=True),))

    async def _end(self, room: RoomId) -> Done:
        try:
            await self._empty(room)
        except Forbidden:
            return Done(result="refused", actions=self._by_hand(room, {}))
        return Done()

    async def _empty(self, room: RoomId) -> None:
        """Stop a room from asking, if it asks us. Raises `Forbidden`.

        Without a policy server whose name or key is known, what the room asks is taken to be ours.
        """
        present = await self._homeserver.state_event(room, POLICY_STATE)
        key = self._server.key() if self._server is not None else self._former_key()
        name = self._server.name if self._server is not None else "" if key else asked_name(present)
        if (written := to_write(present, name, key, asks=False)) is not None:
            await self._homeserver.set_state(room, POLICY_STATE, written)

    async def give_back(self, room: RoomId) -> tuple[Fact, ...]:
        """Stop a room that the bot leaves from asking; return what is to be recorded."""
        chosen = await self._database.fetch(queries.room_that_asks, room)
        if self._server is None or chosen is None:
            return ()
        with suppress(Forbidden):
            await self._empty(room)
        return (PolicyServerSet(room=room, step="off"),)

    async def _can_be_asked(self, server: AskedServer, room: RoomId) -> bool:
        """Tell whether the room can ask: the user is in it, and it answers. Invites the user where it is needed."""
        if await self._membership(room, server.user) != "join":
            rules = await self._homeserver.state_event(room, JOIN_RULES) or {}
            if rules.get("join_rule") != "public":
                await self._invite_unless_there(room, server.user)
            return False
        return bool(server.key()) and server.reached()

    def _occupied(self, room: RoomId, name: str) -> tuple[TellAbove, ...]:
        said = line("policy.occupied", room=RoomName(room), name=Code(name[:100]), type=Code(POLICY_STATE))
        return self._once(room, name, said)

    def _by_hand(self, room: RoomId, written: Mapping[str, Json], by: UserId = NO_USER) -> tuple[TellAbove, ...]:
        """Return what tells the owners what to set, and who set something else; `NO_USER`: nobody did."""
        content = json.dumps(written)
        said = line("policy.by-hand", room=RoomName(room), type=Code(POLICY_STATE), content=Code(content))
        return self._once(room, f"{content} {by}", *((_changed(room, by),) if by else ()), said)

    def _once(self, room: RoomId, about: str, *said: Line) -> tuple[TellAbove, ...]:
        if self._told.get(room) == about:
            return ()
        self._told[room] = about
        return (TellAbove(room=room, lines=said, owners=True),)


def _changed(room: RoomId, by: UserId) -> Line:
    return line("policy.other-key", room=RoomName(room), by=Who(by))
