"""The desk that a room uses: waiting for it, finding that of the same people, and moving to another one.

Rules kept here:
- What is said about a room in a shared desk waits until everybody there has a right in that room.
- When a room moves to another desk, its undecided cases get new cards there, and the old ones say so.

Left to others: who may share a desk (`moderation/rooms/desks.py`), keeping it (`bot/effects/desk.py`).
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.outbox.handler import RetryLater
from bot.texts.matrix_message import Speech
from moderation.model.actions.base import Action
from moderation.model.actions.cards import PostBurst, PostCard, SupersedeCard
from moderation.model.actions.rooms import QuitDesk
from moderation.model.actions.telling import ShowPower, TellDesk
from moderation.model.context import RoomView
from moderation.model.facts import DeskChosen
from moderation.rooms.desks import SETTLE_MS, DeskView, may_show, obstacle
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import RoomName, line
from storage import queries

MOST_NAMED = 4  # rooms in the name of a desk
_FIRST_MS, _LAST_MS = 500, 60_000
_TRIES = 10 + 2 * SETTLE_MS // _LAST_MS  # longer than the rooms of a desk may differ


def must_show(desk: DeskView | None, *rooms: RoomId) -> DeskView:
    """Return the desk of some rooms. Raises `RetryLater` if there is none yet, or not all in it may read of them."""
    if desk is None:
        raise RetryLater("there is no desk yet", tries=10, first_ms=_FIRST_MS, last_ms=_LAST_MS)
    if not all(may_show(desk, room) for room in rooms):
        why = "somebody in the desk has no right in the room"
        raise RetryLater(why, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS)
    return desk


def desk_names(speech: Speech, *groups: RoomView) -> tuple[str, str]:
    """Return the name and the topic of the desk of these groups, in the language of the first."""
    language, named = speech.language(groups[0].language), [group.name or group.code for group in groups]
    called = ", ".join(named[:MOST_NAMED]) + (" …" if len(named) > MOST_NAMED else "")
    name = speech.text((line("desk.name", room=called),), language, {}).plain
    return name, speech.text((line("desk.topic", room=called),), language, {}).plain


async def rooms_of(db: AsyncConnection, desk: DeskView, bot: UserId) -> list[RoomView]:
    """Return the rooms that use a desk, the one that came first at the head."""
    views = [await queries.room_view(db, staff.room, bot) for staff in desk.users]
    return [view for view in views if view is not None]


async def desks_to_join(db: AsyncConnection, group: RoomView, bot: UserId) -> list[DeskView]:
    """Return the desks of other rooms that the same people own and run."""
    staff = await queries.staff_of(db, group, bot)
    found = await queries.desks_of_owner(db, min(staff.owners), bot) if staff.owners else []
    return [desk for desk in found if obstacle(desk, staff) is None]


async def moved(db: AsyncConnection, fact: DeskChosen, bot: UserId) -> tuple[Action, ...]:
    """Return what has to be done when a room leaves its desk for another one; to be read before `fact` is applied."""
    room = fact.home
    old = await queries.desk_used_by(db, room, bot)
    if old is None:
        return ()
    said = (line(f"desk.parted.{fact.why}", room=RoomName(room)),)
    cards, bursts = await queries.waiting_cards(db, room), await queries.bursts_waiting(db, room)
    return (
        # In the desk that is to be made:
        *((TellDesk(room=room, lines=said), ShowPower(room=room)) if fact.desk in ("-", "own") else ()),
        *(SupersedeCard(room=old.room, event=card, moved=True) for _, card in (*cards, *bursts)),
        *(PostBurst(room=room, n=n) for n, _ in bursts),
        *(PostCard(room=room, n=n, ring=False) for n, _ in cards),
        QuitDesk(room=old.room, lines=said),
    )
