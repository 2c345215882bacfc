"""The parts that an engine of the state database gives to `database.py`.

Left to others: the engines (`sqlite_driver.py`, `psycopg_driver.py`), what they need of a connection for the queries
(`rows.py`).
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class TableConnection(AsyncConnection):
    """An open connection."""

    def is_idle(self) -> bool:
        """Tell whether it has no transaction and has not been lost."""
        raise NotImplementedError

    async def begin_snapshot(self) -> None:
        """Begin a transaction in which all statements see one state."""
        raise NotImplementedError

    async def give_back(self) -> None:
        """Give free space that deleted rows left back to the disk, if the engine can; else new rows take it."""


class TableEngine(AsyncEngine, ABC):
    """One database, from which connections are opened."""

    patience_ms: ClassVar[int]  # how long `clean` waits by itself

    @abstractmethod
    async def opened(self) -> TableConnection:
        """Return an open connection, for reading."""

    async def writer(self) -> TableConnection:
        """Return an open connection for the one writer."""
        return await self.opened()

    @abstractmethod
    async def clean(self, db: AsyncConnection, patience_ms: int) -> bool:
        """Overwrite or free what was deleted, as far as the engine can. Returns False if a reader was in the way."""
