"""Our Node.js program that answers lines of JSON: `tests/clients/client.mjs`.

Rules this module keeps:
- A request has one answer; answers may come in any order.
- The program has one client or several. To start it takes longer than most tests, so one serves all tests of a session:
  it belongs to no event loop, and a thread reads what it says.
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
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.clients import packages

Pushed = Callable[[dict[str, Any]], None]
Loop = asyncio.AbstractEventLoop

_STOP_S = 5.0
_ANSWER_S = 40.0  # longer than the program's own deadlines, which know better what they wait for
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
    """One running program, whose log goes to `log`."""

    def __init__(self, log: Path, *, ends_with_clients: bool = False) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
        program = (packages.node(), packages.HERE / "client.mjs", packages.installed())
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=environ,
                start_new_session=True,  # Ctrl-C at the terminal reaches us only
            )
        self.pid = self._process.pid
        self._log = log
        self._ends_with_clients = ends_with_clients
        self._pushed: dict[int, tuple[Loop, Pushed]] = {}
        self._answers: dict[int, tuple[Loop, asyncio.Future[Any]]] = {}
        self._numbers = itertools.count(1)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @classmethod
    async def start(cls, log: Path) -> Self:
        """Start a program that ends with its last client."""
        return await asyncio.to_thread(cls, log, ends_with_clients=True)

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self._reading.is_alive()

    def new_client(self, pushed: Pushed) -> int:
        """Make a client, whose pushes go to `pushed`. Returns its number."""
        self._pushed[number := next(self._numbers)] = (asyncio.get_running_loop(), pushed)
        return number

    async def leave(self, who: int) -> None:
        """Stop a client."""
        del self._pushed[who]
        if self._ends_with_clients and not self._pushed:
            await asyncio.to_thread(self.stop)
        elif self.is_running:
            await self.ask(who, "stop")

    async def ask(self, who: int, do: str, /, within_s: float = _ANSWER_S, **fields: Any) -> Any:
        """Send a request, and return the answer. Raises `JsError`, `JsEnded`, or `TimeoutError`."""
        number, loop = next(self._numbers), asyncio.get_running_loop()
        answer = loop.create_future()
        self._answers[number] = (loop, answer)
        try:
            self._write({"id": number, "who": who, "do": do, "with": fields})
            async with asyncio.timeout(within_s):
                line = await answer
        except TimeoutError:
            raise TimeoutError(f"{do}: no answer within {within_s:g} s\n{self.log()}") from None
        finally:
            del self._answers[number]
        if line is None:
            raise self.ended()
        if "error" in line:
            raise JsError(do, line["error"])
        return line["ok"]

    def stop(self) -> None:
        """End it, and wait until it has ended. Harmless when it has ended already."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reading.join()

    def log(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])

    def ended(self) -> JsEnded:
        """Return the error for a program that has ended."""
        return JsEnded(f"the client has ended ({self._process.returncode})\n{self.log()}")

    def _write(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has ended, or was stopped
            raise self.ended() from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "push" in said:
                self._tell(said.pop("who"), said)
            else:
                self._answer(said["id"], said)
        self._process.wait()
        self._process.stdout.close()
        for number in tuple(self._answers):
            self._answer(number, None)
        for who in tuple(self._pushed):
            self._tell(who, {"push": "ended"})

    def _tell(self, who: int, said: dict[str, Any]) -> None:
        if who in self._pushed:  # else it was stopped
            loop, pushed = self._pushed[who]
            _call(loop, lambda: pushed(said) if who in self._pushed else None)

    def _answer(self, number: int, said: dict[str, Any] | None) -> None:
        if number in self._answers:  # else nobody waits any more
            loop, answer = self._answers[number]
            _call(loop, lambda: None if answer.done() else answer.set_result(said))


def _call(loop: Loop, work: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # its test has ended
        loop.call_soon_threadsafe(work)


class SharedProcess:
    """A program for all tests of a session that need no other; started when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[JsProcess] = []

    def running(self) -> JsProcess:
        """Return the program; a new one if a test has ended it."""
        if not self._processes or not self._processes[-1].is_running:
            self._processes.append(JsProcess(self._folder / f"clients-{len(self._processes)}.log"))
        return self._processes[-1]

    def stop(self) -> None:
        """End it."""
        for process in self._processes:
            process.stop()
