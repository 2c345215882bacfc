"""Waiting while the database is unreachable.

Left to others: what is tried again (`lead.py`, `standby.py`), how long waiting helps (`storage/database/refusals.py`).
"""

import asyncio
from contextlib import suppress

import structlog

from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused

LOOK_S = 0.25
_LONGEST_S = 10.0
_SAID_AGAIN_S = 60.0

log = structlog.get_logger()


class Away:
    """Waits while the database is unreachable: longer each time, with a warning each minute."""

    def __init__(self, place: DatabasePlace) -> None:
        self._place = place
        self._wait_s = 0.0  # 0: it was there when it was asked last
        self._waited_s = 0.0
        self._said = ""

    def is_over(self) -> bool:
        """Note that the database answered. Tells whether it was away before."""
        was, self._wait_s, self._waited_s, self._said = self._wait_s > 0, 0.0, 0.0, ""
        return was

    @property
    def is_waiting(self) -> bool:
        """True if the database was away when it was last asked."""
        return self._wait_s > 0

    async def wait(self, error: DatabaseRefused, stop: asyncio.Event) -> None:
        """Wait a while, or until `stop` is set. Raises `error` if waiting cannot help, or not any more."""
        if self._waited_s >= error.patience_s:
            raise error
        why, minute = error.key.rpartition(".")[2], int(self._waited_s / _SAID_AGAIN_S)
        if self._said != f"{why} {minute}":
            self._said = f"{why} {minute}"
            log.warning("database_away", where=str(self._place), why=why, said=error.fields.get("said", ""))
        self._wait_s = min(_LONGEST_S, 2 * self._wait_s or LOOK_S)
        self._waited_s += self._wait_s
        await until_told(stop, self._wait_s)


async def until_told(stop: asyncio.Event, at_most_s: float) -> None:
    """Wait at most `at_most_s` seconds, or until `stop` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), at_most_s)
