"""The process that forks bots, and the faults of a bot."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Zygote:
    """The process that forks bots."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._forked = 0  # pid of the running bot; 0: none

    @classmethod
    async def start(cls) -> "Zygote":
        """Start it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.victim"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        return cls(process)

    async def fork(self, **order: Any) -> int:
        """Fork a bot. Returns its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._forked = int((await self._line())["pid"])
        return self._forked

    async def ended(self) -> int:
        """Wait for the bot's end. Returns its exit status."""
        status = int((await self._line())["ended"])
        self._forked = 0
        return status

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the process that forks bots has ended"
        return dict(json.loads(line))

    async def stop(self) -> None:
        """End it, and a bot that still runs, since its story failed."""
        assert self._process.stdin is not None
        if self._forked:
            os.kill(self._forked, signal.SIGKILL)
        self._process.stdin.close()
        await self._process.wait()


@dataclass
class Fault:
    """A fault of the bot.

    It is killed before step `kill_at`, or in the middle of it if that is a write and `torn`; or the system refuses
    every step `fail` ("write", "flush" ...) from step `fail_from` on.
    """

    kill_at: int = 0
    torn: bool = False
    after_s: float = 0.0  # killed that long after its start, at whatever step
    fail: str = ""
    fail_from: int = 0

    def order(self) -> dict[str, Any]:
        """Return the fault as part of an order to the victim."""
        return {"kill_at": self.kill_at, "torn": self.torn, "fail": self.fail, "fail_from": self.fail_from}


@asynccontextmanager
async def zygotes(count: int) -> AsyncIterator[list[Zygote]]:
    """Run processes that fork bots."""
    found = [await Zygote.start() for _ in range(count)]
    try:
        yield found
    finally:
        for each in found:
            await each.stop()
