"""The progress of long work, on stderr: a bar where one can be drawn, else a line every ten seconds.

Rules kept here:
- Results printed meanwhile still go to stdout.
- A line comes also while nothing is reported, and says then how long it has taken.
- Within what has a progress already, `progress` gives the same one.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moderation.values.notices import Span

from .output import console, tell, text

if TYPE_CHECKING:
    from rich.progress import Progress

AFTER_S, EVERY_S = 1.0, 10.0
Bar = Callable[[str, int, int], None]  # what is being done, how much is done, how much there is (0: not known)
_shown: list[Bar] = []  # the one that is shown now


@contextmanager
def progress() -> Iterator[Bar]:
    """Yield a function to call with the progress."""
    if _shown:
        yield _shown[0]
        return
    can_draw = sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal
    bar, over = Drawn() if can_draw else Lines(), threading.Event()

    def watch() -> None:
        while not over.wait(1):
            bar.look()

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    _shown.append(bar)
    try:
        yield bar
    finally:
        _shown.clear()
        over.set()
        watcher.join()
        bar.close()


class Drawn:
    """A bar at a terminal, drawn only after `AFTER_S`: what is done at once needs none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._due = clock, clock() + AFTER_S
        self._latest = (text("cli.progress.working"), 0, 0)
        self._drawn: Progress | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in the progress."""
        self._latest = what, done, total
        self.look()
        if self._drawn:
            self._update(self._drawn)

    def look(self) -> None:
        """Draw the bar if it is time."""
        if self._drawn or self._clock() < self._due:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # On one terminal lines are printed above the bar; a redirected stdout must not be sent to stderr.
        shared = sys.stdout.isatty()
        drawn = Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=shared)
        drawn.add_task("", total=None)
        self._update(drawn)
        drawn.start()
        self._drawn = drawn

    def close(self) -> None:
        """Remove the bar."""
        if self._drawn:
            self._drawn.stop()

    def _update(self, drawn: "Progress") -> None:
        what, done, total = self._latest
        drawn.update(drawn.task_ids[0], description=what, completed=done, total=total or None)


class Lines:
    """Lines of progress, at most one in `EVERY_S`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began, self._last = clock, clock(), clock()
        self._latest, self._told = (text("cli.progress.working"), 0, 0), ("", 0, 0)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take in the progress."""
        self._latest = what, done, total
        self.look()

    def look(self) -> None:
        """Print a line if it is time."""
        now, latest = self._clock(), self._latest
        if now - self._last < EVERY_S:
            return
        self._last = now
        (what, done, total), same = latest, latest == self._told or latest[1:] == (0, 0)
        self._told = latest
        if same:
            tell("cli.progress.still", what=what, took=Span(round((now - self._began) * 1000)))
        else:
            tell("cli.progress.of" if total else "cli.progress.so_far", what=what, done=done, total=total)

    def close(self) -> None:
        """Say the last, if it is time."""
        self.look()
