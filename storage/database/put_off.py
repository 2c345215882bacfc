"""Changes of a transaction that wait for its next query or its commit, so that they are handed over together.

Rules kept here:
- Only changes whose rows nobody waits for are put off.
- An error of theirs is raised by the query or the commit that they go with. After it the transaction cannot be
  committed, even if somebody catches the error.

Left to others: making them (`sqlite_driver.py`, `psycopg_driver.py`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from sqlalchemy.exc import PendingRollbackError

MOST: Final = 1_000  # changes that wait at the same time
Step = TypeVar("Step")


class PutOff(Generic[Step]):
    """The changes of one connection that wait, in order."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._lacks = False  # a change of this transaction was not made

    def __bool__(self) -> bool:
        return bool(self._steps)

    def add(self, steps: Sequence[Step]) -> bool:
        """Put changes off; tell whether so many wait now that they should be made."""
        self._steps += steps
        return len(self._steps) >= MOST

    @contextmanager
    def taken(self) -> Iterator[list[Step]]:
        """Yield the changes that wait, to be made in this block; if it fails, the transaction cannot be committed."""
        steps, self._steps = self._steps, []
        try:
            yield steps
        except BaseException:
            self._lacks = self._lacks or bool(steps)
            raise

    def refuse_to_commit(self) -> None:
        """Raise `PendingRollbackError` if a change of this transaction was not made."""
        if self._lacks:
            raise PendingRollbackError("A change of this transaction was not made, so nothing of it is committed.")

    def forget(self) -> None:
        """Forget the transaction, which is undone."""
        self._steps, self._lacks = [], False
