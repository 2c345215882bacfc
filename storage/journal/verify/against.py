"""The findings about the checkpoint that somebody kept and the log does not continue.

The checkpoint may have been signed in a time that was lost when a backup was restored, as the log itself says. That is
still a problem: the person who kept the checkpoint wants to know that records were lost and which, and an alteration
might be disguised as a loss.
"""

import datetime as dt
from typing import Literal

from storage.journal.report import Findings

Code = Literal["root", "missing"]


class Against:
    """The findings about a kept checkpoint, to be reported once all restores are known."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._restores: list[tuple[int, int, int]] = []  # index, records in the backup, when it was made
        self._strays: list[tuple[Code, int, int]] = []  # code, its size, size agreed

    def restored(self, index: int, size: int, made_ms: int) -> None:
        """Note that the record at `index` declares a restore from a backup of `size` records."""
        self._restores.append((index, size, made_ms))

    def differs(self, code: Code, size: int, agreed: int) -> None:
        """Note that the log has another root at the checkpoint's size, or does not reach it."""
        self._strays.append((code, size, agreed))

    def settle(self, found: int) -> None:
        """Report that the log, of `found` records, does not continue the checkpoint, and if a backup may explain it."""
        for code, size, agreed in self._strays:
            lost = [each for each in self._restores if each[1] < size]
            if lost:
                self._findings.withdraw("fork", "against")  # it reports the same
                index, kept, made = lost[-1]
                on = dt.datetime.fromtimestamp(made / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
                self._findings.add("restored", "against", signed=size, by=index, kept=kept, lost=size - kept, on=on)
            elif code == "root":
                self._findings.add("root", "against", signed=size, agreed=agreed)
            else:
                self._findings.add("missing", "against", signed=size, found=found)
