"""Several statements handed over at once, as the queries ask for them.

Rules kept here:
- A statement is built once, at import, with named parameters.
- Values and columns are numbers and texts.

Left to others: running them (`sqlite_driver.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import CompoundSelect, Insert, Select
from sqlalchemy.ext.asyncio import AsyncConnection

Query = Select[Any] | CompoundSelect[Any] | Insert
Asked = tuple[Query, Mapping[str, object]]  # a statement built once, with named parameters; and their values
T = TypeVar("T")
Rows = Sequence[Any]  # with the names of the columns


class ManyAtOnce(Protocol):
    """A connection that takes several statements at once."""

    async def rows_of(self, asked: Sequence[Asked]) -> list[Rows]:
        """Run statements, and return the rows of each, in order."""

    async def after_changes(self, work: Callable[[], T]) -> T:
        """Make the changes that wait for the next query or the commit now, then do `work` in some thread."""

    async def rows_then(
        self, asked: Sequence[Asked], then: Callable[[list[Rows]], Sequence[Asked]]
    ) -> tuple[list[Rows], list[Rows]]:
        """Run statements, then those that `then` makes of their rows; return the rows of both."""


async def rows_of(db: AsyncConnection, *asked: Asked) -> list[Rows]:
    """Run statements, and return the rows of each, in order. Values and columns must be numbers and texts."""
    return await cast(ManyAtOnce, db).rows_of(asked)


async def value_of(db: AsyncConnection, query: Query, values: Mapping[str, object]) -> Any:
    """Run one query, and return the first value of its first row; None if there is no row."""
    [rows] = await rows_of(db, (query, values))
    return rows[0][0] if rows else None


async def after_changes(db: AsyncConnection, work: Callable[[], T]) -> T:
    """Make the changes that wait for the next query or the commit now, then do `work`, which may block.

    An error of a change is raised here, and `work` is not begun. It is called in another thread.
    """
    return await cast(ManyAtOnce, db).after_changes(work)


async def rows_then(
    db: AsyncConnection, asked: Sequence[Asked], then: Callable[[list[Rows]], Sequence[Asked]]
) -> tuple[list[Rows], list[Rows]]:
    """Run statements, then those that `then` makes of their rows, in one hand-over; return the rows of both.

    `then` may be called in another thread.
    """
    return await cast(ManyAtOnce, db).rows_then(asked, then)
