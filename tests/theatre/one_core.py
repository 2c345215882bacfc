"""One core for the tests of one worker of xdist, whose threads then do not hand Python's lock from core to core.

The whole bot, its people and its homeserver run in one process, in which one thread runs at a time. Spread over several
cores the threads take a tenth more processor time for the same work. Where some cores would get more workers than
others, and without xdist, the system decides.

What a test starts inside the block stays on that core, too.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager


def core_of(number: int, workers: int, cores: Collection[int]) -> int | None:
    """Return the core for one worker of several; None if some cores would get more workers than others."""
    return None if workers % len(cores) else sorted(cores)[number % len(cores)]


@contextmanager
def on_one_core() -> Iterator[None]:
    """Run this block, and the threads begun in it, on the core of this worker."""
    worker, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{end}", "") for end in ("", "_COUNT"))
    if not (worker and hasattr(os, "sched_setaffinity")):  # not every system lets a program choose
        yield
        return
    cores = os.sched_getaffinity(0)
    core = core_of(int(worker.removeprefix("gw")), int(workers), cores)
    os.sched_setaffinity(0, cores if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
