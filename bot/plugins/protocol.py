"""The protocol of plug-ins, as docs/plugins.md describes it: one question on each connection to a Unix socket.

Rules kept here:
- A question takes no longer than it may, whatever the plug-in does: nothing, half an answer, a crash, a flood.
- What does not read as an answer is none. No more than `LONGEST_ANSWER` is read.
- A plug-in learns the file, its kind and type; not whose it is, nor where it was posted.

Left to others: when to ask, and whom (`plugins.py`).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

from bot.outside.gate import may_send
from bot.runtime.works import meanwhile
from moderation.rules.labels import HIGHEST, LABEL

VERSION = 1
LONGEST_ANSWER = 16_384  # bytes
MOST_LABELS = 100
_PIECE = 65_536

Why = Literal["gone", "late", "wrong"]


class NoLabels(Exception):
    """The plug-in gave no answer that can be used. `why`: it was not there, took too long, or said something else."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


async def labels_for(socket: Path, within_s: float, *, kind: str, mimetype: str | None, data: bytes) -> dict[str, int]:
    """Return the labels of a file, each with its score. Raises `NoLabels`."""
    question = {"kind": kind, "mimetype": mimetype or "", "size": len(data)}
    return labels_in(await _ask(socket, within_s, question, data))


async def labels_offered(socket: Path, within_s: float) -> tuple[str, ...]:
    """Return the labels that a plug-in says it can give. Raises `NoLabels`."""
    offered = _object(await _ask(socket, within_s, {"kind": "hello", "size": 0}, b"")).get("offers")
    if not isinstance(offered, list) or len(offered) > MOST_LABELS or not all(map(_is_label, offered)):
        raise NoLabels("wrong")
    return tuple(offered)


def labels_in(line: bytes) -> dict[str, int]:
    """Return the labels in an answer, each with its score. Raises `NoLabels`."""
    labels = _object(line).get("labels")
    if not isinstance(labels, dict) or len(labels) > MOST_LABELS:
        raise NoLabels("wrong")
    if not all(_is_label(name) and type(score) is int and 0 <= score <= HIGHEST for name, score in labels.items()):
        raise NoLabels("wrong")
    return labels


def _object(line: bytes) -> Mapping[str, Any]:
    try:
        answer = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise NoLabels("wrong") from None
    if not isinstance(answer, dict):
        raise NoLabels("wrong")
    return answer


async def _ask(socket: Path, within_s: float, question: Mapping[str, object], data: bytes) -> bytes:
    """Return the line that answers a question. Raises `NoLabels`."""
    await may_send()
    try:
        async with asyncio.timeout(within_s):
            return await _exchange(socket, orjson.dumps({"version": VERSION, **question}) + b"\n", data)
    except TimeoutError:
        raise NoLabels("late") from None
    except (OSError, EOFError):
        raise NoLabels("gone") from None
    except ValueError:  # more than may be read
        raise NoLabels("wrong") from None


async def _exchange(socket: Path, question: bytes, data: bytes) -> bytes:
    """Send a question and return the line that answers it, while it may still be sent: a plug-in can stop reading."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=LONGEST_ANSWER)
    try:
        async with meanwhile(_send(writer, question, data)):
            line = await reader.readline()  # raises ValueError beyond the limit
    finally:
        writer.transport.abort()
    if not line.endswith(b"\n"):
        raise EOFError
    return line


async def _send(writer: asyncio.StreamWriter, question: bytes, data: bytes) -> None:
    writer.write(question)
    for begin in range(0, len(data), _PIECE):
        await writer.drain()
        writer.write(data[begin : begin + _PIECE])
    await writer.drain()


def _is_label(name: object) -> bool:
    return isinstance(name, str) and LABEL.match(name) is not None
