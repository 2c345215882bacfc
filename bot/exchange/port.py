"""The port to the place where shards publish messages and read those of the others.

Rules kept here:
- A message is named by its log, the era of that log, and the index of its record there.
- A message proves nothing before it is checked (`checking.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from moderation.values.errors import AnswerableError


class ExchangeDown(AnswerableError):
    """Raised while the exchange cannot be reached. The caller tries again later."""


MOST_BYTES = 200_000  # of a message; one has some 3,000


class ExchangeChanged(AnswerableError):
    """Raised if the exchange has a message in the name of a log, at `index`, that this log did not publish."""

    def __init__(self, index: int) -> None:
        super().__init__(f"message {index} was not published by this log")
        self.index = index


@dataclass(frozen=True, slots=True)
class Message:
    """A record for other shards: `body`, its line and those it needs, and `proof` (`envelope.py`)."""

    origin: str
    era: str
    index: int
    body: str
    proof: str


@dataclass(frozen=True, slots=True)
class PublishedUpTo:
    """The note of a shard: it has published all records of its log before `upto`, in an era, that are for others.

    `size` is the number of records in its log, `age_s` the age of the note in seconds, and `first_ms` the time of the
    first record from `upto` on, in milliseconds since 1970 (0: there is none, or it was not read).
    """

    era: str
    upto: int
    size: int
    age_s: float = 0.0
    first_ms: int = 0

    @property
    def untold(self) -> int:
        """The number of records that the note does not cover."""
        return max(0, self.size - self.upto)


class Exchange(Protocol):
    """A place where shards publish. Each operation may raise `ExchangeDown`."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Keep all messages, or none if that fails. A message that is there already is replaced."""
        ...

    async def last(self, origin: str) -> Message | None:
        """Return the last message of a log; None without any."""
        ...

    async def eras(self, origin: str) -> Sequence[str]:
        """Return the eras in which a log published, in the order in which they began."""
        ...

    async def after(self, origin: str, era: str, index: int, most: int) -> Sequence[Message]:
        """Return messages of a log in this era after this index, in order, at most `most`."""
        ...

    async def have_read(self, shard: str, origin: str, era: str, index: int) -> None:
        """Note up to which message a shard has read a log, or up to which record it has published its own."""
        ...

    async def told(self) -> dict[str, PublishedUpTo]:
        """Return the note of each shard that has one, by the name of its log."""
        ...

    async def read_by(self, origin: str) -> dict[str, tuple[str, int]]:
        """Return up to which message, by era and index, each shard has read a log."""
        ...

    async def claim(self, shard: str, communities: Sequence[str]) -> dict[str, str]:
        """Note that a shard has rooms of these communities alone. Return those that another has, with its name."""
        ...

    async def claims(self) -> dict[str, str]:
        """Return the shard of each community."""
        ...

    async def woken(self, timeout_s: float) -> None:
        """Wait until another shard publishes, for at most `timeout_s` seconds."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...
