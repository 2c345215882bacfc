"""The operator's access to a running bot: a socket in the data directory, for what must be written while it runs.

Rules kept here:
- Only the account that runs the bot, and root, are let in. (The kernel says who asks, and the socket has mode 0600 in a
  folder of mode 0700.)
- The name of the person who asks is passed on, so that it is recorded.
- There is one request a connection: a line of JSON each way, with lines of progress in between.
- A request that cannot be read is answered, never carried out.

Left to others: what is done (`records.py`), asking (`bot/runtime/asking.py`).
"""

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.runtime.asking import SOCKET, short_path
from moderation.values.errors import AnswerableError, Refused
from moderation.values.notices import fields_to_json

from .request import ByName, Request

log = structlog.get_logger()

MAX_REQUEST = 1024 * 1024  # a file on a person lists its records


class Control:
    """The server of the socket, until cancelled."""

    def __init__(self, data_dir: Path, operations: ByName) -> None:
        self._data_dir = data_dir
        self._operations = operations

    async def run(self) -> None:
        """Listen. Remove what is left of an earlier socket: the data directory is ours alone."""
        with short_path(self._data_dir) as folder:
            path = folder / SOCKET
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._serve, path, limit=MAX_REQUEST)
            path.chmod(0o600)
        try:
            await server.serve_forever()
        finally:
            server.close()
            with contextlib.suppress(OSError):
                (self._data_dir / SOCKET).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            who = _peer(writer)
            if who is not None:
                answer = await self._answer(await reader.readline(), who, writer)
                _write(writer, answer)
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError) as error:
            log.info("control_broken_off", why=str(error))
        finally:
            writer.close()

    async def _answer(self, line: bytes, who: str, writer: asyncio.StreamWriter) -> dict[str, Any]:
        def tell(done: int, of: int) -> None:
            _write(writer, {"progress": [done, of]})

        try:
            request = orjson.loads(line)
            operation = self._operations[request["do"]]
            arguments = dict(request["with"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return {"refused": "cli.operate.unreadable", "fields": {}}
        try:
            return {"done": await operation(Request(arguments, who, tell))}
        except Refused as refused:
            return {"refused": refused.key, "fields": fields_to_json(refused.fields)}
        except AnswerableError as error:
            return {"failed": str(error)}
        except (OSError, SQLAlchemyError) as error:  # the disk; the bot ends when it writes next
            log.error("control_disk_failed", why=str(error))
            return {"failed": str(error)}


def _write(writer: asyncio.StreamWriter, line: Mapping[str, Any]) -> None:
    writer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _peer(writer: asyncio.StreamWriter) -> str | None:
    """Return the operating system's name of the person who asks; None for anybody but ourselves and root."""
    connection: socket.socket = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return user_name(os.getuid())  # here only the mode of the socket protects it
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return user_name(uid) if uid in (0, os.getuid()) else None


def user_name(uid: int) -> str:
    """Return the name of an account of this machine, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
