"""The rights of a visitor: asked at each request, kept nowhere.

Rules kept here:
- An operator sees everything.
- A person sees the groups that they answer for at this moment, and nothing of others, not even that they are there. An
  operator of the configuration who comes by a link from chat is such a person: the homeserver can speak as its users.
"""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.duty.responsibility import role
from moderation.values.ids import RoomId, UserId
from storage import queries

from .sessions import Visitor


@dataclass(frozen=True, slots=True)
class Rights:
    """The groups that a visitor may see; `everything`: all, and what belongs to no group."""

    everything: bool
    rooms: frozenset[RoomId] = frozenset()

    def may_see(self, room: RoomId) -> bool:
        """Tell whether the visitor may see a group."""
        return self.everything or room in self.rooms

    @property
    def only(self) -> frozenset[RoomId] | None:
        """The groups to which a query is limited; None: to none."""
        return None if self.everything else self.rooms


async def rights_of(db: AsyncConnection, visitor: Visitor, bot: UserId) -> Rights:
    """Return what somebody may see now."""
    if visitor.kind == "operator":
        return Rights(everything=True)
    runs = [await queries.room_view(db, room, bot) for room in await queries.answers_for(db, visitor.user)]
    return Rights(False, frozenset(room.room for room in runs if room and role(visitor.user, room) != "member"))
