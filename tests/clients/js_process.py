"""Our Node.js program that answers lines of JSON: `tests/clients/client.mjs`.

Rules this module keeps:
- A request has one answer; answers may come in any order.
- The program has one client or several, so that all people of a test need it only once.
- What a client pushes goes to the function given for it, in order; the program's log goes to a file.
- The program ends when we close its stdin or die; if it does not, it is killed.
- If the program has ended, those who wait for it get an error with the last lines of its log.
Left to others: the meaning of the lines (`tests/clients/js_client.py`).
"""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.clients import packages

_LINE = 16 * 1024 * 1024  # an image is one line
_STOP_S = 5.0
_ANSWER_S = 110.0  # longer than the program's own deadlines, which know better what they wait for
_LOG_LINES = 20


class JsError(Exception):
    """The client could not do it. `status` and `errcode` are the homeserver's, if it was that which refused."""

    def __init__(self, request: str, error: dict[str, Any]) -> None:
        self.status = error.get("status")
        self.errcode = str(error.get("errcode") or "")
        super().__init__(f"{request}: {error['message']}")


class JsEnded(Exception):
    """The program has ended, and was not asked to."""


class JsProcess:
    """One running program; `await JsProcess.start(...)` makes one."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log
        self._pushed: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, log: Path) -> Self:
        """Start the program with its packages; its log goes to `log`."""
        modules = await asyncio.to_thread(packages.installed)
        environ = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                str(packages.node()),
                str(packages.HERE / "client.mjs"),
                str(modules),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env=environ,
                limit=_LINE,
                start_new_session=True,  # Ctrl-C at the terminal reaches us only
            )
        return cls(process, log)

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return not self._reading.done()

    def new_client(self, pushed: Callable[[dict[str, Any]], None]) -> int:
        """Make a client, whose pushes go to `pushed`. Returns its number."""
        self._pushed[number := next(self._numbers)] = pushed
        return number

    async def leave(self, who: int) -> None:
        """Stop a client; the last one ends the program."""
        del self._pushed[who]
        if not self._pushed:
            await self.stop()
        elif self.is_running:
            await self.ask(who, "stop")

    async def ask(self, who: int, do: str, /, within_s: float = _ANSWER_S, **fields: Any) -> Any:
        """Send a request, and return the answer. Raises `JsError`, `JsEnded`, or `TimeoutError`."""
        if not self.is_running:
            raise self.ended()
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        request = {"id": number, "who": who, "do": do, "with": fields}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            async with asyncio.timeout(within_s):
                line = await answer
        except TimeoutError:
            raise TimeoutError(f"{do}: no answer within {within_s:g} s\n{self.log()}") from None
        finally:
            del self._answers[number]
        if "error" in line:
            raise JsError(do, line["error"])
        return line["ok"]

    async def stop(self) -> None:
        """End it, and wait until it has ended. Harmless when it has ended already."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reading

    def log(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])

    def ended(self) -> JsEnded:
        """Return the error for a program that has ended."""
        return JsEnded(f"the client has ended ({self._process.returncode})\n{self.log()}")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "push" in said:
                self._tell(said.pop("who"), said)
            elif (answer := self._answers.get(said["id"])) is not None and not answer.done():
                answer.set_result(said)
        await self._process.wait()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self.ended())
        for who in tuple(self._pushed):
            self._tell(who, {"push": "ended"})

    def _tell(self, who: int, said: dict[str, Any]) -> None:
        if who in self._pushed:  # else it was stopped
            self._pushed[who](said)
