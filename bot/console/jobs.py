"""Long work in the background: its progress, its result, and its end.

Rules kept here:
- The work is done by another process (`worker.py`), so that it holds up no page and can be ended at any moment.
- Of each kind one piece of work runs at a time; what is asked for meanwhile is answered with that one.
- What is running ends with the console. Results are kept in memory, the newest of each kind.
"""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from storage.journal.line_format import MAX_LINE

KEPT = 10  # of each kind
_LONGEST = 8 * MAX_LINE  # a line of the log, written once more as JSON

ENDED = {"failed": {"key": "console.job.ended"}}
State = Literal["running", "done", "failed", "stopped"]


async def work(do: str, asked: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Do something in another process and yield what it says; if the caller stops listening, the process ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "bot.console.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST,
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(orjson.dumps({"do": do, "with": dict(asked)}, option=orjson.OPT_APPEND_NEWLINE))
        process.stdin.close()
        while line := await process.stdout.readline():
            yield orjson.loads(line)
        if await process.wait():
            yield ENDED
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass(slots=True)
class Job:
    """A piece of work: who asked for it and when, how far it is, and what came of it."""

    id: str
    do: str
    by: str
    at_ms: int
    about: Mapping[str, Any]  # what is shown of it, such as the reason
    state: State = "running"
    what: str = ""
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: Mapping[str, Any] = field(default_factory=dict)  # `key` and `fields`, or `text`

    def take(self, said: Mapping[str, Any]) -> None:
        """Take in what the work says."""
        match said:
            case {"at": [what, done, total]}:
                self.what, self.done, self.total = what, done, total
            case {"done": result}:
                self.state, self.result = "done", result
            case {"failed": problem}:
                self.state, self.problem = "failed", problem


class Jobs:
    """The pieces of work of one console."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, do: str, asked: Mapping[str, Any], *, by: str, now_ms: int, **about: Any) -> Job:
        """Begin a piece of work; or return the one of its kind that runs."""
        for job in self.of_kind(do):
            if job.state == "running":
                return job
        job = Job(secrets.token_hex(8), do, by, now_ms, about)
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job, asked))
        for old in self.of_kind(do)[KEPT:]:
            del self._jobs[old.id]
        return job

    def of_kind(self, do: str) -> list[Job]:
        """Return the work of one kind, newest first."""
        return [each for each in reversed(self._jobs.values()) if each.do == do]

    def find(self, id_: str) -> Job | None:
        """Return a piece of work."""
        return self._jobs.get(id_)

    async def stop(self, job: Job) -> None:
        """End a piece of work, if it still runs."""
        if (task := self._tasks.pop(job.id, None)) is not None:
            task.cancel()
            await asyncio.wait((task,))
        if job.state == "running":
            job.state = "stopped"

    async def finished(self, job: Job) -> None:
        """Wait until a piece of work has ended."""
        if (task := self._tasks.get(job.id)) is not None:
            await asyncio.wait((task,))

    async def close(self) -> None:
        """End everything that runs."""
        for job in list(self._jobs.values()):
            await self.stop(job)

    async def _run(self, job: Job, asked: Mapping[str, Any]) -> None:
        try:
            async with contextlib.aclosing(work(job.do, asked)) as said:
                async for each in said:
                    job.take(each)
        except OSError as error:
            job.take({"failed": {"key": "", "text": error.strerror or str(error)}})
        self._tasks.pop(job.id, None)
