"""Recognises our own card when it comes back in `/sync`.

Rules kept here: a card says which case it shows and by which request it was sent. If we did not live to record that
it was sent, or the answer was lost on the way, its coming back records it: a reaction pressed meanwhile is not lost.
A card of the time that a backup lost is superseded: what it shows was said again, and has a card of its own.
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
    """The content of a card, saying which it is."""
    return {**content, PostCard.MARK: {"case": n, "request": txn}}


async def returned_card(
    db: AsyncConnection, event: Received, room: RoomView, bot: UserId, on: int, era: str = ""
) -> tuple[ActionTaken, ...]:
    """That a card was posted, if `event` is one of ours and nobody has recorded it yet.

    A card of another `era` shows a case of the time that a backup lost: here its number may belong to another case.
    """
    if room.purpose != "desk" or not isinstance(event, MessagePosted) or event.sender != bot:
        return ()
    mark = event.content.get(PostCard.MARK)
    if not isinstance(mark, dict) or event.replaces is not None:
        return ()
    n, txn = mark.get("case"), mark.get("request")
    found = await queries.case_view(db, n) if isinstance(n, int) else None
    if found is None or found[1].card or not (isinstance(txn, str) and outbox.is_of_era(txn, era)):
        return ()
    case = found[0]
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
    if await queries.case_by_card(db, event.event) is not None or await outbox.waits(db, txn):
        return ()  # it was posted before the backup, or is only now being recorded
    return (SupersedeCard(room=room.room, event=event.event),)
