"""The reconciler of a room's server ACL with the denials in force: reads, compares, writes, records.

Rules kept here:
- The ACL is read again before it is written. What was there before is in the journal before anything is written.
- It is written at most every `PAUSE_MS`: each change of it is checked by every server in the room.
- What the bot has no right to do is told to the managers once, and tried again when its rights change.

Left to others: what should hold (`moderation/rooms/server_acl.py`).
"""

from collections.abc import Iterator, Mapping, Sequence

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, Services
from moderation.model.actions.rooms import AlignServers
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import Fact, LevelKept
from moderation.rooms.align_people import Alignment, Change, KeptLevel, intended
from moderation.rooms.server_acl import KEPT, align_servers, with_changes
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, line
from moderation.values.power_levels import SERVER_ACL
from storage import queries

PAUSE_MS = 15_000


class ServerAcls(ActionHandler):
    """The handler of `AlignServers`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {AlignServers: self.handle}
        self._written: dict[RoomId, int] = {}
        self._told: set[tuple[RoomId, str]] = set()  # what managers were told is impossible, since the start

    async def handle(self, action: AlignServers, _txn: str) -> Done:
        """Read the ACL, compare it with what should hold, and write the difference."""
        alignment = await self._align(action.room)
        if alignment is None:
            return Done(result="abandoned")
        return Done(tuple(_held(action.room, alignment.changes)), actions=tuple(self._told_of(action.room, alignment)))

    async def give_back(self, room: RoomId) -> tuple[Fact, ...]:
        """Take out what the bot added in a room that it leaves; return what is to be recorded."""
        try:
            alignment = await self._align(room, leaving=True)
        except Forbidden:
            return ()
        return tuple(_held(room, alignment.changes)) if alignment else ()

    async def _align(self, room: RoomId, *, leaving: bool = False) -> Alignment | None:
        async with self._database.read() as db:
            view = await queries.room_view(db, room, self._homeserver.user)
            if view is None or not view.active or view.purpose != "group":
                return None
            kept = _of_servers(await queries.holds_in(db, room))
            wanted = () if leaving else [each.server for each in await queries.denied_servers(db, room)]
        if not kept and not wanted:
            return Alignment()
        content = await self._homeserver.state_event(room, SERVER_ACL)
        may = view.power.can_send(self._homeserver.user, SERVER_ACL, state=True)
        alignment = align_servers(content, wanted, kept, may=may)
        if any(change.write for change in alignment.changes):
            if not leaving:
                self._must_wait(room)
            await self._pipeline.commit([*_held(room, [intended(each) for each in alignment.changes if each.write])])
            await self._homeserver.set_state(room, SERVER_ACL, with_changes(content, alignment))
            self._written[room] = self._clock()
        return alignment

    def _must_wait(self, room: RoomId) -> None:
        """Raise `PollAgain` if the ACL was written just now; what is ordered meanwhile is written together."""
        since = self._clock() - self._written.get(room, -PAUSE_MS)
        if 0 <= since < PAUSE_MS:
            raise PollAgain(PAUSE_MS - since)

    def _told_of(self, room: RoomId, alignment: Alignment) -> Iterator[TellDesk]:
        for what in dict.fromkeys(what for _, what in alignment.impossible):
            if (room, what) not in self._told:
                self._told.add((room, what))
                yield TellDesk(room=room, lines=(line(f"desk.servers-not.{what}"),))
        for change in alignment.changes:
            if change.step in ("corrected", "overruled"):
                server = Code(change.what.removeprefix(KEPT))
                yield TellDesk(room=room, lines=(line(f"desk.servers.{change.step}", server=server),))


def _of_servers(holds: Mapping[tuple[UserId, str], KeptLevel]) -> dict[str, KeptLevel]:
    return {what.removeprefix(KEPT): hold for (_, what), hold in holds.items() if what.startswith(KEPT)}


def _held(room: RoomId, changes: Sequence[Change]) -> Iterator[Fact]:
    for change in changes:
        server = change.what.removeprefix(KEPT)
        yield LevelKept(room=room, step=change.step, what="acl", prior=change.prior, held=change.held, server=server)
