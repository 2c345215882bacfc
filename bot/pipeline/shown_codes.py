"""Codes and addresses for verification that people write where others read them, or to the bot alone.

Rules kept here:
- In a direct room, the words of such a message are not recorded.
- Elsewhere, the message is recorded without the code and is redacted, if the bot can redact it.

Left to others: what such a message is (`Responder`).
"""

from collections.abc import Sequence
from dataclasses import replace

from moderation.model.actions.removal import Redact
from moderation.model.context import RoomView
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import EventId, UserId
from storage.database.database import Database

from .process_facts import without_words
from .room_registry import ServedRooms
from .unit_of_work import Answer, Responder
from .view_cache import ViewCache


class ShownCodes:
    """The messages with codes in the batch of events that is being taken."""

    def __init__(
        self, bot: UserId, knowledge: ViewCache, database: Database, served: ServedRooms, responder: Responder
    ) -> None:
        self._bot = bot
        self._knowledge = knowledge
        self._database = database
        self._served = served
        self._responder = responder
        self._hushed: set[EventId] = set()  # events whose words are not recorded
        self._spared: dict[EventId, MessagePosted] = {}  # what is recorded of codes that were posted before others

    async def begin(self, events: Sequence[Received]) -> None:
        """Look for codes in a new batch of events."""
        self._hushed = {each.event or EventId("") for each in events if self._hushes(each)}
        self._spared = await self._said_aloud(events)

    def _hushes(self, event: Received) -> bool:
        return event.room in self._served.direct and event.sender != self._bot and self._responder.hushed(event)

    async def _said_aloud(self, events: Sequence[Received]) -> dict[EventId, MessagePosted]:
        """Return what is recorded of messages that show a code to others, if the bot can remove them."""
        found = [kept for event in events if (kept := self.without_token(event)) is not None]
        if not found:
            return {}
        async with self._database.read() as db:
            views_of = {kept.room: await self._knowledge.room(db, kept.room) for kept in found}
        able = {room for room, view in views_of.items() if view and view.power.can_redact_others(self._bot)}
        return {kept.event: kept for kept in found if kept.room in able}

    def is_hushed(self, event: Received) -> bool:
        """Tell whether the words of an event of this batch are not recorded."""
        return (event.event or EventId("")) in self._hushed

    def as_recorded(self, event: Received) -> Received:
        """Return an event of this batch as it is recorded."""
        return self._spared.get(event.event or EventId(""), event)

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return the event without the code or address that it shows to others; None if it shows none."""
        if event.sender == self._bot or event.room in self._served.direct:
            return None
        return self._responder.without_token(event)

    def without_words(self, answer: Answer, event: Received, room: RoomView) -> Answer:
        """Return what follows from an event, without its words if it has a code, and with the redaction of it."""
        removals = self._removals(event, room)
        if removals or event.event in self._hushed:
            answer = replace(answer, facts=tuple(without_words(fact) for fact in answer.facts))
        there = {action.event for action in answer.actions if isinstance(action, Redact)}
        missing = tuple(removal for removal in removals if removal.event not in there)
        return replace(answer, actions=(*answer.actions, *missing))

    def _removals(self, event: Received, room: RoomView) -> tuple[Redact, ...]:
        """Return the redaction of a message that shows a code to others.

        After a crash it is recognised by what was recorded of it.
        """
        kept = self._spared.get(event.event or EventId(""))
        if kept is None and isinstance(event, MessagePosted):
            as_recorded = self.without_token(event)
            kept = as_recorded if as_recorded is not None and as_recorded.body == event.body else None
        if kept is None or not room.power.can_redact_others(self._bot):
            return ()
        return (Redact(room=kept.room, event=kept.event, subject=kept.sender),)
