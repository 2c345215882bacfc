"""The part of `verify` that lets several processes check lines, if there are enough lines to justify it.

Rules kept here:
- Results come in the order of the input.
- Only a few batches are in flight at any time.
- If a process dies, its batch is checked here and the others go on.
- No process outlives the check or its parent: it ends when its input ends.
- There are never more processes than processors.

Processes are started by command, not by `multiprocessing`, which would run the caller's main program again in each of
them, and would leave them behind if the caller is killed.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import BinaryIO, TypeVar, cast

from .lines import Batch, Checked, check_lines

PAYS_FROM = 16 * 1024 * 1024  # bytes of lines: about 40,000 records, less than half a second for one process
_LENGTH = 8
_T = TypeVar("_T")


def check_all(
    items: Iterable["Batch | _T"], size: int, most: int | None = None
) -> Generator[tuple["Batch | _T", Checked | None], None, None]:
    """Check all batches among `items`; pass other items through in their place.

    `size` is the approximate number of bytes of lines to come, `most` the number of processes not to be exceeded.
    """
    count = processors() if most is None else min(processors(), most)
    pool = _Pool(count if size >= PAYS_FROM else 0)
    waiting: deque[tuple[Batch | _T, Future[Checked] | Checked | None]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.look(item) if isinstance(item, Batch) else None))
            while len(waiting) > pool.ahead:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.close()


def _finished(item: _T, result: Future[Checked] | Checked | None) -> tuple[_T, Checked | None]:
    return item, result.result() if isinstance(result, Future) else result


class _Pool:
    """The worker processes: `count` of them if that is more than one, or as many as can be started."""

    def __init__(self, count: int) -> None:
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: list[_Worker] = []
        with suppress(OSError):
            for _ in range(count if count > 1 else 0):
                self._workers.append(_Worker())
                self._idle.put(self._workers[-1])
        self._threads = ThreadPoolExecutor(len(self._workers), "verify") if self._workers else None
        self.ahead = 2 * len(self._workers)  # number of batches that may wait

    def look(self, batch: Batch) -> Future[Checked] | Checked:
        """Start checking a batch in a process; without processes, check it at once."""
        return self._threads.submit(self._look, batch) if self._threads else check_lines(batch)

    def _look(self, batch: Batch) -> Checked:
        """Let the next idle process check a batch; runs in a thread."""
        worker = self._idle.get()
        try:
            return worker.look(batch)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        for worker in self._workers:
            worker.close()
        if self._threads:
            self._threads.shutdown(cancel_futures=True)


class _Worker:
    """One process, which checks one batch at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (our own program, by the interpreter that runs us)
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C is for the caller, which ends this process
        )

    def look(self, batch: Batch) -> Checked:
        """Let the process check a batch; if the process is gone, check it here."""
        try:
            _send(cast(BinaryIO, self._process.stdin), tuple(batch))
            return cast(Checked, _receive(cast(BinaryIO, self._process.stdout)))
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return check_lines(batch)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                cast(BinaryIO, pipe).close()


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _send(pipe: BinaryIO, value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_LENGTH, "big") + data)
    pipe.flush()


def _receive(pipe: BinaryIO) -> object:
    """Read the next value. Raises `EOFError` at the end."""
    length = pipe.read(_LENGTH)
    data = pipe.read(int.from_bytes(length, "big")) if len(length) == _LENGTH else b""
    if not data:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  (from our own process, through a pipe nobody else has)


def main() -> None:
    """Run a worker process: check batches until the input ends."""
    from .lines import Batch, check_lines  # by the name that the parent can load

    with suppress(EOFError, BrokenPipeError):
        while True:
            _send(sys.stdout.buffer, check_lines(Batch(*cast("tuple[str, int, bytes]", _receive(sys.stdin.buffer)))))


if __name__ == "__main__":
    main()
