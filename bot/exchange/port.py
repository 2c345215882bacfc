"""The port to the place where shards publish, and read what others published.

Rules kept here:
- A message is named by its log, the era of that log, and the index of its record there.
- What is read here proves nothing by itself: its reader checks it (`checking.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from moderation.values.errors import AnswerableError


class ExchangeDown(AnswerableError):
    """Raised while the exchange cannot be reached; the same is tried again later."""


MOST_BYTES = 200_000  # of a message; one has some 3,000


class ExchangeChanged(AnswerableError):
    """Raised if the exchange has something under the name of a log that is none of it, at `index`."""

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
    """The place where shards publish. Each operation raises `ExchangeDown`."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Keep messages, all or none; one that is there already is replaced."""
        ...

    async def last(self, origin: str) -> Message | None:
        """Return what a log published last."""
        ...

    async def eras(self, origin: str) -> Sequence[str]:
        """Return the eras in which a log published, in the order in which they began."""
        ...

    async def after(self, origin: str, era: str, index: int, most: int) -> Sequence[Message]:
        """Return what a log published in this era after this index, in order, `most` messages."""
        ...

    async def have_read(self, shard: str, origin: str, era: str, index: int) -> None:
        """Note up to which message a shard has read a log; of its own, up to which record it has published it."""
        ...

    async def told(self) -> dict[str, PublishedUpTo]:
        """Return the note of each shard that has one, by the name of its log."""
        ...

    async def read_by(self, origin: str) -> dict[str, tuple[str, int]]:
        """Return up to which message, by era and index, each shard has read a log."""
        ...

    async def claim(self, shard: str, communities: Sequence[str]) -> dict[str, str]:
        """Note which communities a shard has rooms of, and which no longer. Return those that another one has."""
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
