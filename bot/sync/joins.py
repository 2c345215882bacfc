"""Joins of rooms that the bot enters by itself: one that is not answered does not hold up the others.

Rules kept here:
- A round of joins waits `PATIENCE_S` in all. A join that is not answered by then goes on, and counts as `Unreachable`.
- When such a join ends, `wake` is called, and the next round gets its outcome.
- A room has one join at a time, and at most `AT_ONCE` are under way; the others wait for a place.

Left to others: which rooms are entered, and what follows if that is not possible (`policy_lists.py`, `spaces.py`).
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from bot.crypto.encrypting_client import SealedHomeserver
from bot.matrix.errors import Unreachable
from bot.runtime import works
from moderation.values.ids import RoomId

PATIENCE_S = 5.0  # the homeserver itself waits up to two minutes for another server
AT_ONCE = 8


class Joins:
    """The joins under way, and those that have ended since the last round."""

    def __init__(self, homeserver: SealedHomeserver, wake: Callable[[], None]) -> None:
        self._homeserver = homeserver
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[RoomId]] = {}
        self._outdated: set[asyncio.Task[RoomId]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._patient_until = 0.0

    def begin_round(self) -> None:
        """Let the next joins be waited for."""
        self._patient_until = time.monotonic() + PATIENCE_S

    async def enter(self, room: str, via: Sequence[str], *, name: str | None = None) -> RoomId:
        """Enter a room and return its id, or the outcome of a join that was begun earlier.

        `name`: what all joins of the room have in common, if it is entered by its alias, too. Raises
        `HomeserverError`; it is `Unreachable` while the join is under way.
        """
        name = name or room
        task = self._tasks.get(name)
        if task is None or self._was_refused_too_early(task):
            task = self._tasks[name] = asyncio.create_task(self._join(room, via))
            await asyncio.wait({task}, timeout=max(0.0, self._patient_until - time.monotonic()))
            if not task.done():
                task.add_done_callback(lambda _: self._wake())
        if not task.done():
            raise Unreachable(f"no answer yet to the join of {room}")
        del self._tasks[name]
        return task.result()

    def has_ended(self, name: str) -> bool:
        """Tell whether there is an outcome of a join that was begun in an earlier round."""
        return name in self._tasks and self._tasks[name].done()

    def entered(self) -> frozenset[RoomId]:
        """Return the rooms of joins from earlier rounds that have succeeded meanwhile."""
        ended = [task for task in self._tasks.values() if task.done() and task.exception() is None]
        return frozenset(task.result() for task in ended)

    def forget(self, name: str) -> None:
        """Forget the outcome of a join that has ended: the bot is in the room, or no longer wants to be."""
        if self.has_ended(name):
            self._tasks.pop(name).exception()

    def was_invited(self) -> None:
        """Join once more if what is under way is refused: that may be from before the invitation."""
        self._outdated = set(self._tasks.values())

    async def end(self) -> None:
        """Cancel the joins that are under way."""
        await works.end(self._tasks.values())
        self._tasks.clear()

    async def _join(self, room: str, via: Sequence[str]) -> RoomId:
        async with self._places:
            return await self._homeserver.join(room, via)

    def _was_refused_too_early(self, task: asyncio.Task[RoomId]) -> bool:
        return task.done() and task in self._outdated and task.exception() is not None
