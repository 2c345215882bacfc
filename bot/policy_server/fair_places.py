"""Places that several servers share: while all are taken, the servers that wait get the next ones in turn.

So one server that asks a thousand things at once delays its own questions, and others' by no more than one turn each.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairPlaces:
    """A number of places, shared by servers."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, server: str) -> AsyncIterator[None]:
        """Wait for a place on behalf of a server, and hold it meanwhile."""
        await self._take(server)
        try:
            yield
        finally:
            self._leave()

    async def _take(self, server: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(server, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the turn came at the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        """Give a place to the next server, or to nobody."""
        while self._waiting:
            server, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[server] = turns  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
