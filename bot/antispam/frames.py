"""The frames by which the listening process and the bot speak to each other: a line of ASCII words, then bytes.

  question   number, name of the callback, until when it matters (`now_ms`), number of bytes; the body as it was posted
  answer     number, status, 0, number of bytes; the body of the answer
  word       0, a word, 0, 0: the listening process says how it is

Rules kept here:
- A frame that does not read as one ends the connection: both ends are ours, so it is a defect or the end of a process.
- No frame is larger than `LARGEST`.
"""

import asyncio
import re
import time
from dataclasses import dataclass

LARGEST = 1_000_000  # bytes; an event has 64 KiB, and up to six times that with its letters escaped
_HEAD = re.compile(rb"(\d{1,18}) ([a-z0-9_]{1,64}) (\d{1,18}) (\d{1,7})\n")
_LONGEST_HEAD = 128


@dataclass(frozen=True, slots=True)
class Frame:
    """One question or answer. `number` 0: a word of the listening process."""

    number: int
    word: str
    by_ms: int = 0
    body: bytes = b""

    def encoded(self) -> bytes:
        """Return the bytes that stand for it."""
        return b"%d %s %d %d\n%s" % (self.number, self.word.encode(), self.by_ms, len(self.body), self.body)


class Garbled(Exception):
    """The other end does not speak as it should."""


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next frame; None at the end. Raises `Garbled`."""
    try:
        head = await reader.readuntil(b"\n")
        found = _HEAD.fullmatch(head) if len(head) <= _LONGEST_HEAD else None
        if found is None or int(found[4]) > LARGEST:
            raise Garbled
        body = await reader.readexactly(int(found[4]))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Garbled from None
        return None
    except (asyncio.LimitOverrunError, ConnectionError):
        raise Garbled from None
    return Frame(int(found[1]), found[2].decode(), int(found[3]), body)


def now_ms() -> int:
    """Return the time by which both processes agree until when a question matters, in milliseconds."""
    return time.monotonic_ns() // 1_000_000
