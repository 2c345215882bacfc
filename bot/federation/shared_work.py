"""Work that many wait for is done once.

Rules this module keeps:
- While something is being fetched under a key, others who ask for the key wait for the same result or error.
- Somebody who stops waiting does not end the work of the others.
- At most `most` pieces of work run at a time; one more raises `ServerUnreachable` at once. So strangers who name a
  thousand servers cannot make us ask a thousand servers at a time. Less important work leaves some places `reserved`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.runtime.works import end

from .errors import ServerUnreachable

T = TypeVar("T")


class SharedWork(Generic[T]):
    """Pieces of work by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[str, asyncio.Task[T]] = {}

    async def result(self, key: str, work: Callable[[], Awaitable[T]], reserved: int = 0) -> T:
        """Return the result of `work`, which is begun unless it is running already. Raises what it raises.

        Raises `ServerUnreachable` if only `reserved` places or fewer are free.
        """
        task = self.begin(key, work, reserved)
        if task is None:
            raise ServerUnreachable("too many servers are being asked already")
        return await asyncio.shield(task)

    def begin(self, key: str, work: Callable[[], Awaitable[T]], reserved: int = 0) -> asyncio.Task[T] | None:
        """Return the task that does `work`, which is begun unless it is running; None if there is no place for it."""
        task = self._running.get(key)
        if task is None and len(self._running) < self._most - reserved:
            task = self._running[key] = asyncio.ensure_future(_awaited(work))
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def close(self) -> None:
        """End all work."""
        await end(self._running.values())

    def _ended(self, key: str, task: asyncio.Task[T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits for it any more


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
