"""Long work in the background: its progress, its result, and its end.

Rules kept here:
- The work is done by another process (`worker.py`), so that it holds up no page and can be ended at any moment.
- Of each kind one piece of work runs at a time; what is asked for meanwhile is answered with that one. Of all kinds
  `MOST_RUNNING` run at a time. One search runs for each session: a new one ends the old one.
- What is running ends with the console, and however it ends, its place is free. Results are kept in memory: of each
  kind the newest of each user, up to `MOST_BYTES`.
"""

import asyncio
import contextlib
import math
import secrets
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakValueDictionary

import orjson
import structlog

from moderation.values.errors import Refused
from storage.journal.line_format import MAX_LINE

log = structlog.get_logger()

MOST_BYTES = 16 * 1024 * 1024  # of a result
MOST_SEARCHES = 4  # at a time
MOST_RUNNING = 3
_LONGEST = 8 * MAX_LINE  # a line of the log, written once more as JSON

ENDED = {"failed": {"key": "console.job.ended"}}
TOO_LONG = {"failed": {"key": "console.job.too_long"}}
State = Literal["running", "done", "failed", "stopped"]


async def work(
    do: str, asked: Mapping[str, Any], stop: asyncio.Event | None = None, most: float = math.inf
) -> AsyncGenerator[dict[str, Any]]:
    """Do something in another process and yield what it says, up to `most` bytes.

    The process ends if the caller stops listening, or when `stop` is set; then nothing more is said.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "bot.console.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST,
        start_new_session=True,  # Ctrl-C is for the console, which ends this process
    )
    assert process.stdin and process.stdout
    stopping = asyncio.create_task(_kill_at(stop, process)) if stop is not None else None
    try:
        process.stdin.write(orjson.dumps({"do": do, "with": dict(asked)}, option=orjson.OPT_APPEND_NEWLINE))
        process.stdin.close()
        while line := await process.stdout.readline():
            if (most := most - len(line)) < 0:
                yield TOO_LONG
                return
            yield orjson.loads(line)
        if await process.wait() and not (stop and stop.is_set()):
            yield ENDED
    finally:
        if stopping is not None:
            stopping.cancel()
        _kill(process)
        await process.wait()
        with contextlib.suppress(ConnectionError):  # it has read all it needed, or was ended before
            await process.stdin.wait_closed()


async def _kill_at(stop: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await stop.wait()
    _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


@dataclass(slots=True)
class Job:
    """A piece of work: who asked for it and when, how far it is, and what came of it."""

    id: str
    kind: str
    by: str
    at_ms: int
    about: Mapping[str, Any]  # what is shown of it, such as the reason
    state: State = "running"
    what: str = ""
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    problem: Mapping[str, Any] = field(default_factory=dict)  # `key` and `fields`, or `text`
    _rows: dict[str, list[Any]] = field(default_factory=dict)  # of the result, as they came

    def take(self, said: Mapping[str, Any]) -> None:
        """Take in what the work says."""
        match said:
            case {"at": [what, done, total]}:
                self.what, self.done, self.total = what, done, total
            case {"rows": [name, rows]}:
                self._rows.setdefault(name, []).extend(rows)
            case {"done": result}:
                self.state, self.result = "done", {**result, **self._rows}
            case {"failed": problem}:
                self.state, self.problem = "failed", problem
                self._rows.clear()


class Jobs:
    """The pieces of work of one console."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # By session, for as long as somebody holds on to the search: a page that failed before it began keeps no place.
        self._searches = WeakValueDictionary[str, asyncio.Event]()

    def begin_search(self, session: str) -> asyncio.Event | None:
        """Return what ends the search that a session begins now; None if too many others search already."""
        self.end_search(session)
        if len(self._searches) >= MOST_SEARCHES:
            return None
        return self._searches.setdefault(session, asyncio.Event())

    def end_search(self, session: str, one: asyncio.Event | None = None) -> None:
        """End the search of a session; if `one` is given, only if it is that one."""
        found = self._searches.get(session)
        if found is not None and one in (None, found):
            found.set()
            self._searches.pop(session, None)

    def begin(self, do: str, asked: Mapping[str, Any], *, by: str, now_ms: int, kind: str = "", **about: Any) -> Job:
        """Begin a piece of work; or return the one of its kind that runs. Raises `Refused` if too much runs already."""
        kind = kind or do
        for job in self.of_kind(kind):
            if job.state == "running":
                return job
        if len(self._tasks) >= MOST_RUNNING:
            raise Refused("console.job.busy")
        for old in [each for each in self.of_kind(kind) if each.by == by]:
            del self._jobs[old.id]
        job = Job(secrets.token_hex(8), kind, by, now_ms, about)
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.create_task(self._run(job, do, asked))
        return job

    def of_kind(self, kind: str) -> list[Job]:
        """Return the work of one kind, newest first."""
        return [each for each in reversed(self._jobs.values()) if each.kind == kind]

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
        for session in list(self._searches):
            self.end_search(session)
        for job in list(self._jobs.values()):
            await self.stop(job)

    async def _run(self, job: Job, do: str, asked: Mapping[str, Any]) -> None:
        try:
            async with contextlib.aclosing(work(do, asked, most=MOST_BYTES)) as said:
                async for each in said:
                    job.take(each)
        except OSError as error:
            job.take({"failed": {"key": "", "text": error.strerror or str(error)}})
        except Exception:  # a line of any length and content may come
            log.exception("console_job_failed", kind=job.kind)
            job.take(ENDED)
        finally:
            self._tasks.pop(job.id, None)
