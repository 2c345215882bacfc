"""Work that many wait for is done once.

Rules this module keeps:
- While something is being fetched under a key, whoever else asks for the key waits for the same result or error.
- Somebody who stops waiting does not end the work of the others.
- At most `most` pieces of work run at a time; one more raises `ServerUnreachable` at once. So strangers who name a
  thousand servers cannot make us ask a thousand servers at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from .errors import ServerUnreachable

T = TypeVar("T")


class SharedWork(Generic[T]):
    """Pieces of work by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[str, asyncio.Task[T]] = {}

    async def result(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`, which is begun unless it is running already. Raises what it raises."""
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= self._most:
                raise ServerUnreachable("too many servers are being asked already")
            task = asyncio.ensure_future(_awaited(work))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End all work."""
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, key: str, task: asyncio.Task[T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits for it any more


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
