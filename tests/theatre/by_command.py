"""The bot as an operator runs it: by its command line, in processes of its own, with everything in one folder.

Rules this module keeps:
- No variable of this process's environment that is meant for the bot reaches it.
- Every byte that a process writes is kept.
- The caller that starts a process ends it.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.theatre.engine import environ_for
from tests.theatre.forked_command import run_forked
from tests.theatre.served import until

COMMAND = "from bot.cli.main import run; run()"
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what it printed with ``--json``."""
        return json.loads(self.out)


@dataclass
class Operator:
    """Somebody at a terminal, in the folder of a deployment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    umask: int = 0o022
    ran: list[Ran] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def log(self) -> Path:
        """The log file of the running bot."""
        return self.folder.parent / f"{self.folder.name}.log"

    async def run(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command to its end."""
        whole = (*arguments, "--config", str(self.config))
        self.ran.append(Ran(*await run_forked(*whole, environ=self._environ(), stdin=stdin, umask=self.umask)))
        return self.ran[-1]

    async def done(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command that must succeed."""
        ran = await self.run(*arguments, stdin=stdin)
        assert ran.code == 0, f"{arguments[0]} ended with {ran.code}:\n{ran.out}\n{ran.err}"
        return ran

    @asynccontextmanager
    async def running(self, *options: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the bot inside this block, and ask it to stop at the end."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", COMMAND, "run", *options, "--config", str(self.config)),
                env=self._environ(environment),
                stdout=log,
                stderr=log,
                umask=self.umask,
            )
        try:
            await until(self._ready(process, self.said("ready")), "the bot to be ready", WITHIN_S)
            yield process
        finally:
            await self.stop(process)

    async def stop(self, process: asyncio.subprocess.Process) -> int:
        """Ask it to stop, if it runs; its exit code."""
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            raise

    def said(self, event: str) -> int:
        """Return how often the bot has logged this."""
        return sum(line.get("event") == event for line in self.lines()) if self.log.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        """Return the complete lines that the bot has logged."""
        whole = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in whole if line.startswith("{") and line.endswith("\n")]

    def _ready(self, process: asyncio.subprocess.Process, before: int) -> Any:
        async def once() -> bool:
            assert process.returncode is None, f"the bot has ended:\n{self.log.read_text()}"
            return self.said("ready") > before

        return once

    def _environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSWERABLE_", "NOTIFY_"))}
        return {**own, **environ_for(self.folder / "data"), **self.environment, **(more or {})}
