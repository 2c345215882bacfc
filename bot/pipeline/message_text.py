"""The text of messages, read back from the journal: the database keeps none.

Rules kept here:
- Text that was not kept, or was erased, comes back empty.
- Nothing that a person did makes a function here raise.

Left to others: who may see it.
"""

from typing import Protocol

from bot.events.parse_event import receive
from moderation.model.facts import MessageWithheld
from moderation.rules.check import Judged
from moderation.values.events import MessagePosted
from moderation.values.ids import RoomId
from storage.journal.record import Record
from storage.record_mapping import fact_of_record, raw_of_record

from .withheld import event_of


class Records(Protocol):
    """Recorded events by their index."""

    def get(self, index: int) -> Record:
        """Return one record. Raises `LookupError` if it is not there."""
        ...


class NoRecords:
    """No records, for a judge that reads none."""

    def get(self, index: int) -> Record:
        """Raise `LookupError`."""
        raise LookupError(index)


def words_of(journal: Records, room: RoomId, index: int) -> str:
    """Return the text of the message recorded at `index`; empty if there is none."""
    event = message_of(journal, room, index)
    return event.body if event is not None else ""


def message_of(journal: Records, room: RoomId, index: int) -> MessagePosted | None:
    """Return the message recorded at `index`; None if there is none, or nothing of it was kept."""
    event = said_at(journal, room, index)
    return event if isinstance(event, MessagePosted) and event.content else None


def said_at(journal: Records, room: RoomId, index: int) -> Judged | None:
    """Return the event recorded at `index` if it is of a kind that is judged, else None."""
    try:
        record = journal.get(index)
    except LookupError:
        return None
    if record.kind == MessageWithheld.KIND:
        fact = fact_of_record(record, lambda _: room)
        return (
            event_of(fact, record.at_ms) if isinstance(fact, MessageWithheld) and (fact.body or fact.content) else None
        )
    raw = raw_of_record(record)
    event = receive(raw, room, record.at_ms) if raw is not None else None
    return event if isinstance(event, Judged) else None
