"""The interface of the part that decrypts events before the pipeline records them."""

from collections.abc import Sequence
from typing import Protocol

from moderation.values.events import Received


class EventReader(Protocol):
    """A part through which events pass on their way into the records (`bot/encryption/intake.py`)."""

    async def read(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events in the same order, decrypted as far as possible now."""
        ...

    def recorded(self, events: Sequence[Received]) -> None:
        """Take note of events that are recorded now."""
        ...


class PlainReader:
    """A reader for a process without keys: encrypted events are recorded as not read."""

    async def read(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events as they came."""
        return events

    def recorded(self, events: Sequence[Received]) -> None:
        """Do nothing: nobody waits for events."""
