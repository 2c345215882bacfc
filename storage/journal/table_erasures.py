"""Erasures and purges in the table that the machines share, after those in the files.

Rules kept here:
- The mark in the table (`LineLog.erased_to`) is moved past an erasure only once it is carried out in files and table.
- An erasure that the table refused is made up for by the next one.
- One that a damaged day prevented holds the mark back until a start finds all days whole; later ones are done.
Left to others: the files (`retention/erase.py`, `retention/purge.py`).
"""

from collections.abc import Callable
from contextlib import suppress

from moderation.values.errors import Broken

from .days import Day
from .line_log import LineLog
from .reader import Log
from .retention.erase import erasure_of
from .retention.erasure_index import Special
from .retention.purge import read_min_index
from .retention.targets import Targets


class TableErasures:
    """The erasures in the table of one open log."""

    def __init__(self, log: Log, table: LineLog) -> None:
        self._log = log
        self._table = table
        self._all_in_files = False  # whether every declared erasure is carried out in the files
        self._owed: set[int] = set()  # records that are erased in the files alone

    def finish(self, special: Special, size: int) -> None:
        """Carry out the erasures and purges that were declared; all are carried out in the files."""
        done = self._table.erased_to()
        if late := [index for index in special.indices["erase"] if index >= done]:
            indices: set[int] = set()
            for index in late:
                with suppress(Broken):  # a malformed one: `verify` names it
                    indices.update(erasure_of(self._log.line(index)).targets.records())
            self._table.rewrite(self._log.raws(indices), size)
        if below := read_min_index(self._log.folder):
            self._table.remove_below(below)
        self._all_in_files = True

    def erase(self, in_files: Callable[[], list[Day]], targets: Targets, by: int) -> list[Day]:
        """Erase what record `by` names in the files, by `in_files`, then in the table.

        Returns what `in_files` returned. Raises what it raises, and the errors of the table.
        """
        all_before, self._all_in_files = self._all_in_files, False
        days = in_files()
        self._all_in_files = all_before
        self._owed.update(targets.records())
        self._table.rewrite(self._log.raws(self._owed), by + 1 if all_before else self._table.erased_to())
        self._owed.clear()
        return days

    def purge(self, below: int) -> None:
        """Remove the lines before `below`, which are removed from the files."""
        self._table.remove_below(below)
