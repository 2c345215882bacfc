"""Asking a running bot for something, through the socket in its data directory.

Rules kept here:
- There is one request a connection: a line of JSON each way, with lines of progress in between.
- A refusal of the bot is one here, too.

Left to others: the bot's side (`bot/admin/control_socket.py`), who may ask for what (`bot/cli/`, `bot/console/`).
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from moderation.values.errors import Refused
from moderation.values.notices import fields_from_json

SOCKET = "control.sock"
NO_DOOR = "cli.operate.no_door"  # the text of a refusal: no bot answers
MOST_ANSWERED = 2**20  # bytes

Progress = Callable[[int, int], object]  # done, all


async def ask_bot(
    data_dir: Path, do: str, arguments: Mapping[str, Any], progress: Progress | None = None
) -> dict[str, Any]:
    """Have the bot do something; return what it answers. Raises `Refused`, with `NO_DOOR` if no bot answers."""
    try:
        with short_path(data_dir) as folder:
            reader, writer = await asyncio.open_unix_connection(folder / SOCKET, limit=MOST_ANSWERED)
    except OSError as error:
        raise Refused(NO_DOOR, data_dir=data_dir, why=error.strerror or error) from None
    try:
        writer.write(orjson.dumps({"do": do, "with": dict(arguments)}, option=orjson.OPT_APPEND_NEWLINE))
        await writer.drain()
        while line := await reader.readline():
            answer = orjson.loads(line)
            if "progress" not in answer:
                return _result(answer)
            if progress is not None:
                progress(*answer["progress"])
    finally:
        writer.close()
    raise Refused("cli.operate.broken_off")


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "refused" in answer:
        raise Refused(answer["refused"], **fields_from_json(answer["fields"]))
    if "failed" in answer:
        raise Refused("cli.operate.failed", why=answer["failed"])
    done: dict[str, Any] = answer["done"]
    return done


@contextlib.contextmanager
def short_path(folder: Path) -> Iterator[Path]:
    """Yield the folder by a short name: the path of a socket has at most 108 bytes, and temporary folders have more."""
    if len(str(folder / SOCKET)) < 100 or not Path("/proc/self/fd").is_dir():
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
