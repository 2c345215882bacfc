"""The recognition of the bot's own cards and questions when they come back in `/sync`.

Rules kept here:
- A card says which case it shows and by which request it was sent; a question in the desk says the latter.
- If the bot was stopped before it recorded that it was sent, or the answer was lost on the way, this is recorded when
  it comes back: a reaction pressed meanwhile is not lost.
- A card of the time that a backup lost is superseded: what it is about was read again, and has a card of its own if it
  needs one.
- So is a card that was on its way to a desk that its room has left; the new desk gets one.

Left to others: what a card shows (`bot/effects/desk.py`), asking (`bot/effects/ask_desk.py`).
"""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_fields import object_of
from moderation.model.actions.base import Action
from moderation.model.actions.cards import AskDesk, Offer, PostBurst, PostCard, SupersedeCard
from moderation.model.context import RoomView
from moderation.model.facts import ActionTaken, QuestionAsked
from moderation.values.events import Json, MessagePosted, Received
from moderation.values.ids import CaseNumber, EventId, UserId
from storage import outbox, queries

from .unit_of_work import Answer


def with_card_mark(
    content: Mapping[str, Json], n: int, txn: str, action: type[PostBurst | PostCard] = PostCard
) -> dict[str, Json]:
    """Return the content of a card with a mark: the case it shows, or begins with, and the request that sends it."""
    return {**content, action.MARK: {"case": n, "request": txn}}


def with_question_mark(content: Mapping[str, Json], txn: str) -> dict[str, Json]:
    """Return the content of a question with a mark: the request that sends it."""
    return {**content, AskDesk.MARK: {"request": txn}}


def asked(action: AskDesk, made: EventId, on: int = -1) -> tuple[tuple[QuestionAsked], tuple[Offer]]:
    """Return the fact that a question was asked by the event `made`, and the action that puts the answers under it."""
    fact = QuestionAsked(room=action.room, on=on, n=action.n, what=action.what, cases=action.cases, made=made)
    return (fact,), (Offer(room=action.room, n=action.n, key=action.keys, event=made),)


async def returned_question(db: AsyncConnection, event: Received, room: RoomView, bot: UserId, on: int) -> Answer:
    """Return what follows from a question of ours that comes back, if it is not recorded yet."""
    txn = _mark(event, room, bot, AskDesk.MARK).get("request")
    action = await outbox.waiting_action(db, txn) if isinstance(txn, str) else None
    if not isinstance(action, AskDesk) or event.event is None:
        return Answer()
    facts, actions = asked(action, event.event, on)
    taken = ActionTaken(
        room=action.room,
        on=on,
        action=AskDesk.NAME,
        result="done",
        n=action.n,
        txn=str(txn),
        subject=action.to,
        made=event.event,
    )
    return Answer((*facts, taken), actions)


async def returned_card(
    db: AsyncConnection, event: Received, room: RoomView, bot: UserId, on: int, era: str = ""
) -> tuple[ActionTaken, ...]:
    """Return the fact that a card was posted, if `event` is a card of ours that is not recorded yet.

    A card of another `era` shows a case of the time that a backup lost: its number may belong to another case now.
    """
    n, txn = _card_mark(event, room, bot)
    case = await queries.case_view(db, n) if n and outbox.is_of_era(txn, era) else None
    if case is None or case.card or event.event is None:
        return ()
    return (
        ActionTaken(room=case.room, on=on, action=PostCard.NAME, result="done", n=case.n, txn=txn, made=event.event),
    )


async def superseded_cards(
    db: AsyncConnection, event: Received, room: RoomView, bot: UserId, era: str
) -> tuple[Action, ...]:
    """Return what replaces `event`, if it is a card of ours from the time that a backup lost, or in a former desk."""
    (n, txn), common = _card_mark(event, room, bot), False
    if not txn:
        (n, txn), common = _card_mark(event, room, bot, PostBurst), True
    if not txn or event.event is None or await _is_known(db, event.event):
        return ()  # it is no card, or was posted before the backup
    if not outbox.is_of_era(txn, era):
        # If its request waits, it is only now being recorded.
        return () if await outbox.is_waiting(db, txn) else (SupersedeCard(room=room.room, event=event.event),)
    case = await queries.case_view(db, n)
    desk = await queries.desk_used_by(db, case.room, bot) if case else None
    if case is None or (desk is not None and desk.room == room.room):
        return ()
    again: tuple[Action, ...]
    if common:
        again = () if await queries.burst_card(db, n) else (PostBurst(room=case.room, n=CaseNumber(n)),)
    else:
        again = () if case.card else (PostCard(room=case.room, n=CaseNumber(n)),)
    return (SupersedeCard(room=room.room, event=event.event, moved=True), *again)


def _mark(event: Received, room: RoomView, bot: UserId, key: str) -> Mapping[str, Json]:
    """Return the mark of a message of ours in a desk; nothing if `event` is not one."""
    if room.purpose != "desk" or not isinstance(event, MessagePosted) or event.sender != bot or event.replaces:
        return {}
    return object_of(event.content.get(key))


async def _is_known(db: AsyncConnection, card: EventId) -> bool:
    return (await queries.case_by_card(db, card) or await queries.burst_by_card(db, card)) is not None


def _card_mark(
    event: Received, room: RoomView, bot: UserId, action: type[PostBurst | PostCard] = PostCard
) -> tuple[int, str]:
    """Return the case and the request that a card of ours names; zero and "" if `event` is not one."""
    mark = _mark(event, room, bot, action.MARK)
    n, txn = mark.get("case"), mark.get("request")
    return n if isinstance(n, int) else 0, txn if isinstance(txn, str) else ""
