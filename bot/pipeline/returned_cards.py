"""The recognition of the bot's own cards when they come back in `/sync`.

Rules kept here:
- A card says which case it shows and by which request it was sent.
- If the bot was stopped before it recorded that a card was sent, or the answer was lost on the way, this is recorded
  when the card comes back: a reaction pressed meanwhile is not lost.
- A card of the time that a backup lost is superseded: what it is about was read again, and has a card of its own if it
  needs one.

Left to others: what a card shows (`bot/effects/desk.py`).
"""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions import PostCard, SupersedeCard
from moderation.model.context import RoomView
from moderation.model.facts import ActionTaken
from moderation.values.events import Json, MessagePosted, Received
from moderation.values.ids import UserId
from storage import outbox, queries


def with_card_mark(content: Mapping[str, Json], n: int, txn: str) -> dict[str, Json]:
    """Return the content of a card with a mark: the case it shows, and the request that sends it."""
    return {**content, PostCard.MARK: {"case": n, "request": txn}}


async def returned_card(
    db: AsyncConnection, event: Received, room: RoomView, bot: UserId, on: int, era: str = ""
) -> tuple[ActionTaken, ...]:
    """Return the fact that a card was posted, if `event` is a card of ours that is not recorded yet.

    A card of another `era` shows a case of the time that a backup lost: its number may belong to another case now.
    """
    if room.purpose != "desk" or not isinstance(event, MessagePosted) or event.sender != bot:
        return ()
    mark = event.content.get(PostCard.MARK)
    if not isinstance(mark, dict) or event.replaces is not None:
        return ()
    n, txn = mark.get("case"), mark.get("request")
    case = await queries.case_view(db, n) if isinstance(n, int) else None
    if case is None or case.card or not (isinstance(txn, str) and outbox.is_of_era(txn, era)):
        return ()
    return (
        ActionTaken(room=case.room, on=on, action=PostCard.NAME, result="done", n=case.n, txn=txn, made=event.event),
    )


async def superseded_cards(
    db: AsyncConnection, event: Received, room: RoomView, bot: UserId, era: str
) -> tuple[SupersedeCard, ...]:
    """Return the edit of `event`, if it is one of our cards from the time that a backup lost."""
    if not era or room.purpose != "desk" or not isinstance(event, MessagePosted) or event.sender != bot:
        return ()
    mark = event.content.get(PostCard.MARK)
    txn = mark.get("request") if isinstance(mark, dict) and event.replaces is None else None
    if not isinstance(txn, str) or outbox.is_of_era(txn, era):
        return ()
    if await queries.case_by_card(db, event.event) is not None or await outbox.is_waiting(db, txn):
        return ()  # it was posted before the backup, or is only now being recorded
    return (SupersedeCard(room=room.room, event=event.event),)
