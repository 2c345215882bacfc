"""A progress bar on stderr for what takes longer than a moment, if somebody is there to see it.

Rules kept here:
- No bar is drawn if stderr is no terminal.
- Results printed meanwhile still go to stdout.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .output import console

Bar = Callable[[str, int, int], None]  # what is being done, how much is done, how much there is (0: not known)


@contextmanager
def progress() -> Iterator[Bar | None]:
    """Yield a function to call with the progress; None if nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On one terminal lines are printed above the bar; a redirected stdout must not be sent to stderr.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=shared) as drawn:
        task = drawn.add_task("", total=None)
        yield lambda what, done, total: drawn.update(task, description=what, completed=done, total=total or None)
