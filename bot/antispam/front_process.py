"""The start and the supervision of the listening process (`front.py`), and the questions that it passes on.

Rules kept here:
- It is started again if it ends. It gets none of the bot's environment but what Python needs.
- Each question is answered on its own; one that is late is answered at once, without a look.
- A defect in answering lets through what was asked.

Left to others: answers (`answers.py`).
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import structlog

from bot.runtime.works import end

from .frames import LARGEST, Frame, Garbled, now_ms, read_frame
from .front import FINE, FrontSettings

__all__ = ["GOES_THROUGH", "CallbackAnswer", "FrontProcess", "FrontSettings"]

AGAIN_S = 5.0
LISTENS_WITHIN_S = 20.0
_NEEDED = ("LD_", "DYLD_", "PYTHON")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The answer to a callback: 200, or an error in the words of `body` (JSON)."""

    status: int = 200
    body: bytes = FINE


GOES_THROUGH = CallbackAnswer()

Answer = Callable[[str, bytes, int], Awaitable[CallbackAnswer]]  # callback, body, until when it matters (`now_ms`)


class FrontProcess:
    """The listening process, while `run` runs."""

    def __init__(self, settings: FrontSettings, answer: Answer) -> None:
        self._settings = settings
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked = self._refused = self._late = 0
        self.listening = asyncio.Event()

    def counts(self) -> dict[str, int]:
        """Return how many questions came, were refused, and came too late to be looked at; pings are none."""
        return {"asked": self._asked, "refused": self._refused, "late": self._late}

    async def run(self) -> None:
        """Keep a process listening until cancelled."""
        while True:
            try:
                await self._one()
            except OSError as error:
                log.warning("antispam_not_started", why=str(error))
            self.listening.clear()
            log.warning("antispam_ended", again_s=AGAIN_S)
            await asyncio.sleep(AGAIN_S)

    async def _one(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "bot.antispam.front"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name.startswith(_NEEDED)},
            limit=LARGEST,
            start_new_session=True,  # Ctrl-C reaches the bot only
        )
        assert process.stdin is not None
        assert process.stdout is not None
        late = asyncio.get_running_loop().call_later(LISTENS_WITHIN_S, self._not_listening)
        try:
            process.stdin.write(json.dumps(asdict(self._settings)).encode() + b"\n")
            with suppress(Garbled):
                while (frame := await read_frame(process.stdout)) is not None:
                    self._take(frame, process.stdin)
        finally:
            late.cancel()
            await end(self._tasks)
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            process.stdin.close()

    def _not_listening(self) -> None:
        if not self.listening.is_set():
            log.warning("antispam_not_listening", host=self._settings.host, port=self._settings.port)

    def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame.word == "wrong_token":
            log.warning("antispam_wrong_token", host=self._settings.host, port=self._settings.port)
            return
        if frame.number == 0:
            log.info("antispam_listening", host=self._settings.host, port=self._settings.port)
            self.listening.set()
            return
        task = asyncio.create_task(self._reply(frame, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        reply, in_time = GOES_THROUGH, now_ms() <= frame.by_ms
        self._late += not in_time
        if in_time:
            try:
                reply = await self._answer(frame.word, frame.body, frame.by_ms)
            except Exception:
                log.exception("antispam_failed", callback=frame.word)
        if frame.word != "ping":
            self._asked += 1
            self._refused += reply.status != GOES_THROUGH.status
        writer.write(Frame(frame.number, str(reply.status), 0, reply.body).encoded())
