"""The progress of what takes longer than a moment, on stderr: a bar at a terminal, else a line every ten seconds.

Rules kept here:
- Results printed meanwhile still go to stdout.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .output import console, tell

EVERY_S = 10.0
Bar = Callable[[str, int, int], None]  # what is being done, how much is done, how much there is (0: not known)


@contextmanager
def progress() -> Iterator[Bar]:
    """Yield a function to call with the progress."""
    if not sys.stderr.isatty():
        yield lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On one terminal lines are printed above the bar; a redirected stdout must not be sent to stderr.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=shared) as drawn:
        task = drawn.add_task("", total=None)
        yield lambda what, done, total: drawn.update(task, description=what, completed=done, total=total or None)


def lines(clock: Callable[[], float] = time.monotonic) -> Bar:
    """Return a function that prints the progress it is called with, at most once in `EVERY_S`."""
    last = clock()

    def line(what: str, done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= EVERY_S:
            last = clock()
            tell("cli.progress.of" if total else "cli.progress.so_far", what=what, done=done, total=total)

    return line
