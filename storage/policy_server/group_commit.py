"""Work on one connection of SQLite, in a thread of its own: what waits is done in one transaction, with one flush.

Rules kept here:
- A caller is told only when the transaction is on the disk.
- If one piece of work or the commit fails, nothing of the transaction is kept, and each piece is tried alone, so that
  one of them harms no other.
- Work that nobody waits for any more is still done.

Left to others: the work (`store.py`).
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

_MOST = 500  # pieces in one transaction

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _WaitingWork:
    """One piece of work, and who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Tell the one who waits; called on the event loop."""
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class GroupCommit:
    """The thread of one connection."""

    def __init__(self, connection: sqlite3.Connection, name: str, *, commits: bool = True) -> None:
        self._connection = connection
        self._begin, self._end = ("BEGIN IMMEDIATE", "COMMIT") if commits else ("BEGIN", "ROLLBACK")
        self._waiting: queue.SimpleQueue[_WaitingWork | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def do(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **more: P.kwargs) -> T:
        """Do a piece of work, and return its result once it is on the disk. Raises what the work or SQLite raises."""
        loop = asyncio.get_running_loop()
        piece = _WaitingWork(lambda connection: work(connection, *args, **more), loop, loop.create_future())
        self._waiting.put(piece)
        result: T = await piece.done
        return result

    def close(self) -> None:
        """Do what waits, and close the connection."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            pieces, ended = self._more(first)
            if not self._done_together(pieces):
                for piece in pieces:
                    self._done_together([piece])
            self._tell(pieces)
            if ended:
                break
        self._connection.close()

    def _more(self, first: _WaitingWork) -> tuple[list[_WaitingWork], bool]:
        """Return what waits, and whether the end was among it."""
        pieces = [first]
        with suppress(queue.Empty):
            while len(pieces) < _MOST:
                if (piece := self._waiting.get_nowait()) is None:
                    return pieces, True
                pieces.append(piece)
        return pieces, False

    def _done_together(self, pieces: list[_WaitingWork]) -> bool:
        """Do these in one transaction; return whether they are kept. If they are not, each holds the error."""
        try:
            self._connection.execute(self._begin)
            for piece in pieces:
                piece.result, piece.error = piece.work(self._connection), None
            self._connection.execute(self._end)
        except Exception as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            for piece in pieces:
                piece.error = error
            return False
        return True

    def _tell(self, pieces: list[_WaitingWork]) -> None:
        """Wake each loop once, with all of its pieces."""
        for loop in {id(piece.loop): piece.loop for piece in pieces}.values():
            mine = [piece for piece in pieces if piece.loop is loop]
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_tell_all, mine)


def _tell_all(pieces: list[_WaitingWork]) -> None:
    for piece in pieces:
        piece.tell()
