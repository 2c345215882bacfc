"""The connections for reading of one database.

Rules kept here:
- A connection that is given back is kept for the next reader: to open one costs as much as twenty statements, and each
  prepares its statements itself.
- Once a few are open, a reader first waits for one of them. It does not wait long, as a holder of one may be waiting
  for another; then one more is opened, however many there are.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .engine import TableConnection

_FEW = 4
_MOST_IDLE = 16
_PATIENCE_S = 0.05


class Readers:
    """Connections that are open, idle or in use."""

    def __init__(self, opened: Callable[[], Awaitable[TableConnection]]) -> None:
        """Set up; `opened` returns a new connection."""
        self._opened = opened
        self._open = 0
        self._idle: list[TableConnection] = []
        self._waiting: deque[asyncio.Future[TableConnection]] = deque()
        self._is_closed = False

    async def take(self) -> TableConnection:
        """Return a connection that nobody else has until it is given back."""
        if self._idle:
            return self._idle.pop()
        if self._open >= _FEW and (given := await self._given_back()) is not None:
            return given
        self._open += 1
        try:
            return await self._opened()
        except BaseException:
            self._open -= 1
            raise

    async def _given_back(self) -> TableConnection | None:
        """Wait for a connection that another reader gives back; None if that takes too long."""
        given = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            await asyncio.wait({given}, timeout=_PATIENCE_S)
        except asyncio.CancelledError:
            if not given.cancel():  # it has been given one
                await self.give_back(given.result())
            raise
        if not given.done():
            given.cancel()  # `give_back` passes over it
        return given.result() if not given.cancelled() else None

    async def give_back(self, connection: TableConnection) -> None:
        """Keep a connection for others, unless it cannot be used again or too many are kept."""
        if connection.is_idle() and not self._is_closed:
            while self._waiting:
                if not (given := self._waiting.popleft()).done():
                    given.set_result(connection)
                    return
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        self._open -= 1
        await connection.close()

    async def close(self) -> None:
        """Close the idle connections; those in use are closed when they are given back."""
        self._is_closed = True
        for connection in self._idle:
            await connection.close()
