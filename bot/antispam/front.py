"""The process that listens for the callbacks of `synapse-http-antispam` and passes them on to the bot.

A process of its own, since the sender of a message waits for the answer: the module waits a minute, and what is said on
the whole homeserver with it. Whatever the bot does, hangs or is stopped, this process answers in time.

Rules kept here:
- A question that the bot does not answer within its time goes through. If it left several unanswered in a row, one a
  second is put to it, and the others go through at once, until it answers.
- A request without the right token is not passed on. It goes through, for a wrong token must not silence a homeserver;
  and it is no error, for with an error the module writes the message into the homeserver's log. A ping gets the error.
- More than `MOST_OPEN` questions at once are not kept: the rest goes through.
- It ends as soon as the bot does. Then nobody listens, and the module lets messages through at once.

It gets its settings as one line of JSON on its standard input, and nothing of the bot's but the token. Left to others:
what a callback means (`protocol.py`) and what is answered (`answers.py`), the start (`front_process.py`).
"""

import asyncio
import hmac
import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiohttp import web

from bot.matrix.local_server import serve

from .frames import LARGEST, Frame, Garbled, now_ms, read_frame

FINE = b"{}"
JSON, PLAIN = "application/json", "text/plain"
MOST_OPEN = 1_000  # questions that wait for the bot
MOST_CONNECTIONS = 1_100
PIPE_BYTES = 16_000_000  # that the bot has not read yet
BODY_WITHIN_S = 5.0
KEEP_S = 60.0
MISSED = 3  # questions in a row without an answer
REST_MS = 1_000
WRONG_EVERY_MS = 60_000
_LONGEST_LINE = 1_000


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """The address to listen on, the token, and how long a question may wait."""

    host: str
    port: int
    token: str
    within_ms: int


class Bot:
    """The bot at the other end of the pipes."""

    def __init__(self, writer: asyncio.WriteTransport, within_ms: int) -> None:
        self._writer = writer
        self._within_ms = within_ms
        self._open: dict[int, asyncio.Future[Frame]] = {}
        self._number = 0
        self._missed = 0
        self._again_ms = 0
        self._told_ms = -WRONG_EVERY_MS

    async def ask(self, callback: str, body: bytes) -> Frame | None:
        """Return the bot's answer; None if there is none in time."""
        if not self._may_ask():
            return None
        self._number += 1
        number, answer = self._number, asyncio.Future[Frame]()
        self._open[number] = answer
        # Half of the time is for the bot: what it refuses it has recorded before it answers.
        self._writer.write(Frame(number, callback, now_ms() + self._within_ms // 2, body).encoded())
        try:
            async with asyncio.timeout(self._within_ms / 1000):
                return await answer
        except TimeoutError:
            self._missed += 1
            self._again_ms = now_ms() + REST_MS
            return None
        finally:
            del self._open[number]

    def _may_ask(self) -> bool:
        if len(self._open) >= MOST_OPEN or self._writer.get_write_buffer_size() > PIPE_BYTES:
            return False
        if self._missed < MISSED:
            return True
        now = now_ms()
        if now < self._again_ms:
            return False
        self._again_ms = now + REST_MS
        return True

    def hear_wrong_token(self) -> None:
        """Tell the bot that a request had a wrong token, once in a while."""
        if (now := now_ms()) >= self._told_ms + WRONG_EVERY_MS:
            self._told_ms = now
            self._writer.write(Frame(0, "wrong_token").encoded())

    def answered(self, frame: Frame) -> None:
        """Pass an answer on; one that comes too late says at least that the bot is there."""
        self._missed = 0
        waiting = self._open.get(frame.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)


class Door:
    """The answers to requests."""

    def __init__(self, bot: Bot, token: str) -> None:
        self._bot = bot
        self._token = f"Bearer {token}".encode()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of the module."""
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        callback = request.path.rpartition("/")[2]
        if not hmac.compare_digest(given, self._token):
            self._bot.hear_wrong_token()
            if request.method == "POST" and callback != "ping":
                return _closing(web.Response(body=FINE, content_type=JSON))
            return _closing(web.Response(status=401, text="wrong token", content_type=PLAIN))
        if request.method != "POST":
            return _closing(web.Response(status=405, text="POST only", content_type=PLAIN))
        body = await _body(request)
        if body is None or not callback.isidentifier() or not callback.isascii() or callback != callback.lower():
            return _closing(web.Response(body=FINE, content_type=JSON))
        frame = await self._bot.ask(callback[:64], body)
        if frame is None:
            return web.Response(body=FINE, content_type=JSON)
        return web.Response(status=int(frame.word), body=frame.body, content_type=JSON)


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return what was posted; None if it is too large, or does not come."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            body = await request.read()
    except (TimeoutError, web.HTTPRequestEntityTooLarge):
        return None
    return body if len(body) <= LARGEST else None


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response


async def run(settings: FrontSettings, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
    """Listen until the bot is gone."""
    bot = Bot(writer, settings.within_ms)
    door, listening = Door(bot, settings.token), asyncio.Event()

    async def pass_on() -> None:
        while (frame := await read_frame(reader)) is not None:
            bot.answered(frame)

    async def tell() -> None:
        await listening.wait()
        writer.write(Frame(0, "listening").encoded())
        await asyncio.Event().wait()

    address = settings.host, settings.port
    limits = {"longest_line": _LONGEST_LINE, "most": MOST_CONNECTIONS}
    tasks = [
        asyncio.create_task(pass_on()),
        asyncio.create_task(tell()),
        asyncio.create_task(serve(door.answer, address, name="antispam", listening=listening, keep_s=KEEP_S, **limits)),
    ]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def main() -> None:
    """Take the settings and the pipes from the bot, and run."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LARGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    settings = FrontSettings(**json.loads(await reader.readline()))
    writer, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # what anything prints is not an answer
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # the bot logs
    with suppress(Garbled):
        await run(settings, reader, writer)


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)
