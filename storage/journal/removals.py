"""The erasures and purges of an open log, in its files and in the table that the machines share.

Rules kept here:
- A declared erasure or purge is always carried out: if a crash interrupts it, the next opening finishes it.
- If an erasure replaced the open day's file, the log goes on in the new file.
Left to others: declaring and signing (`journal.py`), the files (`retention/`), the table (`table_erasures.py`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from moderation.values.errors import Broken

from .days import Day
from .line_log import LineLog
from .open_day import OpenDay
from .reader import Log
from .retention.erase import erase_again, erase_parts, erasure_of
from .retention.erasure_index import Special
from .retention.purge import purge, purge_again
from .retention.targets import Targets
from .table_erasures import TableErasures


class Removals:
    """Purges and erasures of one open log. `or_refuse`: a block; after a failure in it the log accepts nothing more."""

    def __init__(
        self, log: Log, day: OpenDay, table: LineLog | None, or_refuse: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._log = log
        self._day = day
        self._or_refuse = or_refuse
        self._in_table = None if table is None else TableErasures(log, table)

    def must_be_named(self, targets: Targets, by: int) -> None:
        """Raise `Broken` if the `erase` record `by` does not name `targets`."""
        if erasure_of(self._log.line(by)).targets != targets:
            raise Broken(f"record {by} does not name the parts that are to be erased")

    def erase(self, targets: Targets, by: int) -> list[str]:
        """Erase the parts that the record `by` names. Returns the days that were rewritten."""
        erasure = erasure_of(self._log.line(by))

        def in_files() -> list[Day]:
            return self._in_files(lambda: erase_parts(self._log, [erasure]))

        days = in_files() if self._in_table is None else self._in_table.erase(in_files, targets, by)
        return [day.name for day in days]

    def purge(self, below: int) -> list[str]:
        """Remove all records before `below`. Returns the removed days."""
        days = purge(self._log.folder, below)
        if self._in_table is not None:
            self._in_table.purge(below)
        return days

    def finish(self, size: int) -> str:
        """Finish what was declared among the first `size` records before the process died.

        Returns what a damaged day prevented, or "": it must not keep the bot from recording.
        """
        folder = self._log.folder
        try:
            special = Special.find(folder, size)
            if purge_again(folder, special):
                special.forget_purged(folder)
            self._in_files(lambda: erase_again(folder, special))
            special.keep(folder)
            if self._in_table is not None:
                self._in_table.finish(special, size)
        except Broken as error:
            return str(error)
        return ""

    def _in_files(self, work: Callable[[], list[Day]]) -> list[Day]:
        try:
            return work()
        finally:
            if self._day.was_replaced():
                with self._or_refuse():
                    self._day.open_again()
