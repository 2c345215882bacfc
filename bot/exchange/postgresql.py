"""The exchange in PostgreSQL: a table that all shards of one database share.

Rules kept here:
- A notification only wakes. The messages are read from the table, so a lost notification costs some seconds.
- Only the leader of a shard's log publishes for it (`storage/database/fence.py`).
- After an error the connection is made again at the next operation.

Left to others: the tables (`storage/database/shared_tables.py`), what is published and believed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from storage.database import shared_tables
from storage.database.fence import Epoch, is_superseded
from storage.database.place import DatabasePlace
from storage.database.refusals import said
from storage.database.server import NAME, connect, connect_async, driver
from storage.journal.line_format import BadLine, decode

from .port import MOST_BYTES, ExchangeDown, Message, PublishedUpTo

if TYPE_CHECKING:
    from psycopg import AsyncConnection

CHANNEL = "answerable_exchange"
_TABLE = "answerable_shared.exchange"
_COLUMNS = "origin, era, idx, body, proof"
# An era has the next number of its log when its first message is published. Indexes do not tell which era is later: a
# log that is restored from an older backup goes on at a smaller index.
# All messages of an era have its number, so one of each is looked at, by the primary key: there may be millions.
_ERAS = (
    f"WITH RECURSIVE found AS ((SELECT era, began FROM {_TABLE} WHERE origin = %(origin)s ORDER BY era LIMIT 1)"  # noqa: S608
    " UNION ALL SELECT later.era, later.began FROM found CROSS JOIN LATERAL"
    f" (SELECT era, began FROM {_TABLE} WHERE origin = %(origin)s AND era > found.era ORDER BY era LIMIT 1) later)"
    " SELECT era FROM found ORDER BY began"
)
_PUBLISH = (
    f"INSERT INTO {_TABLE} ({_COLUMNS}, began) VALUES (%(origin)s, %(era)s, %(index)s, %(body)s, %(proof)s, coalesce("  # noqa: S608
    f"(SELECT began FROM {_TABLE} WHERE origin = %(origin)s AND era = %(era)s LIMIT 1),"
    f" (SELECT max(began) + 1 FROM {_TABLE} WHERE origin = %(origin)s), 1))"
    " ON CONFLICT (origin, era, idx) DO UPDATE SET body = excluded.body, proof = excluded.proof"
)
_READ = f"origin, era, idx, left(body, {MOST_BYTES + 1}), left(proof, {MOST_BYTES + 1})"  # longer ones are refused
_AFTER = f"SELECT {_READ} FROM {_TABLE} WHERE origin = %s AND era = %s AND idx > %s ORDER BY idx LIMIT %s"  # noqa: S608
_HAVE_READ = (
    "INSERT INTO answerable_shared.exchange_read (shard, origin, era, idx) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (shard, origin) DO UPDATE SET era = excluded.era, idx = excluded.idx, at = now()"
)
_TOLD = (
    "SELECT s.origin, r.era, r.idx + 1, coalesce((SELECT max(l.idx) + 1 FROM answerable_shared.log l"
    " WHERE l.shard = s.name), 0), extract(epoch FROM now() - r.at)::float8"
    " FROM answerable_shared.shards s"
    " JOIN answerable_shared.exchange_read r ON (r.shard, r.origin) = (s.name, s.origin)"
)
_FIRST = (
    "SELECT l.line FROM answerable_shared.log l JOIN answerable_shared.shards s ON l.shard = s.name"
    " WHERE s.origin = %s AND l.idx >= %s ORDER BY l.idx LIMIT 1"
)
_NOTED = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('answerable_shared.exchange_read') AND attname = 'at'"
_COMMUNITIES = "answerable_shared.communities"
_CLAIM = f"INSERT INTO {_COMMUNITIES} (name, shard) SELECT unnest(%s::text[]), %s ON CONFLICT (name) DO NOTHING"


class PostgresExchange:
    """The exchange of the shards of one database."""

    def __init__(self, place: DatabasePlace, epoch: Epoch | None = None) -> None:
        self._place = place
        self._epoch = epoch
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None
        self._listening: AsyncConnection[tuple[Any, ...]] | None = None
        self._turn = asyncio.Lock()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Keep messages, and wake those who wait."""
        rows = [asdict(each) for each in messages]

        async def write(db: "AsyncConnection[tuple[Any, ...]]") -> None:
            async with db.cursor() as cursor:
                await cursor.executemany(_PUBLISH, rows)
            await db.execute("SELECT pg_notify(%s, '')", [CHANNEL])

        await self._write(write)

    async def last(self, origin: str) -> Message | None:
        """Return the last message of a log; None without any."""
        eras = await self.eras(origin)
        if not eras:
            return None
        newest = f"SELECT {_READ} FROM {_TABLE} WHERE origin = %s AND era = %s ORDER BY idx DESC LIMIT 1"  # noqa: S608
        found = await self._messages(newest, [origin, eras[-1]])
        return found[0] if found else None

    async def eras(self, origin: str) -> Sequence[str]:
        """Return the eras in which a log published, in the order in which they began."""
        return [str(era) for (era,) in await self._rows(_ERAS, {"origin": origin})]

    async def after(self, origin: str, era: str, index: int, most: int) -> Sequence[Message]:
        """Return messages of a log in this era after this index, in order, at most `most`."""
        return await self._messages(_AFTER, [origin, era, index, most])

    async def have_read(self, shard: str, origin: str, era: str, index: int) -> None:
        """Note up to which message a shard has read a log, or up to which record it has published its own."""

        async def write(db: "AsyncConnection[tuple[Any, ...]]") -> None:
            await db.execute(_HAVE_READ, [shard, origin, era, index])

        await self._write(write)

    async def told(self) -> dict[str, PublishedUpTo]:
        """Return the note of each shard that has one, by the name of its log."""
        return _told(await self._rows(_TOLD, []))

    async def read_by(self, origin: str) -> dict[str, tuple[str, int]]:
        """Return up to which message, by era and index, each shard has read a log."""
        read = "SELECT shard, era, idx FROM answerable_shared.exchange_read WHERE origin = %s"
        return {str(shard): (str(era), int(index)) for shard, era, index in await self._rows(read, [origin])}

    async def claim(self, shard: str, communities: Sequence[str]) -> dict[str, str]:
        """Note that a shard has rooms of these communities alone. Return those that another has, with its name."""
        names = list(communities)

        async def write(db: "AsyncConnection[tuple[Any, ...]]") -> None:
            gone = "DELETE FROM answerable_shared.communities WHERE shard = %s AND NOT name = ANY(%s::text[])"
            await db.execute(gone, [shard, names])
            await db.execute(_CLAIM, [names, shard])

        await self._write(write)
        held = "SELECT name, shard FROM answerable_shared.communities WHERE name = ANY(%s::text[]) AND shard <> %s"
        return {str(name): str(owner) for name, owner in await self._rows(held, [names, shard])}

    async def claims(self) -> dict[str, str]:
        """Return the shard of each community."""
        rows = await self._rows(f"SELECT name, shard FROM {_COMMUNITIES}", [])  # noqa: S608
        return {str(name): str(shard) for name, shard in rows}

    async def woken(self, timeout_s: float) -> None:
        """Wait until another shard publishes, for at most `timeout_s` seconds."""
        psycopg = driver()
        try:
            if self._listening is None:
                self._listening = await self._connect()
                await self._listening.execute(f"LISTEN {CHANNEL}")
            async for _ in self._listening.notifies(timeout=timeout_s, stop_after=1):
                pass
        except (psycopg.Error, OSError):
            listening, self._listening = self._listening, None
            await _ended(listening)
            await asyncio.sleep(min(timeout_s, 5.0))

    async def close(self) -> None:
        """End the connections."""
        for each in (self._connection, self._listening):
            await _ended(each)
        self._connection = self._listening = None

    async def _messages(self, sql: str, values: Sequence[object]) -> list[Message]:
        rows = await self._rows(sql, values)
        return [Message(str(row[0]), str(row[1]), int(row[2]), str(row[3]), str(row[4])) for row in rows]

    async def _rows(self, sql: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        async def read(db: "AsyncConnection[tuple[Any, ...]]") -> list[tuple[Any, ...]]:
            return await (await db.execute(sql, values)).fetchall()

        return list(await self._run(read))

    async def _write(self, work: Any) -> None:
        async def write(db: "AsyncConnection[tuple[Any, ...]]") -> None:
            async with db.transaction():
                if self._epoch is not None:
                    await db.execute(self._epoch.check_sql)
                await work(db)

        await self._run(write)

    async def _run(self, work: Any) -> Any:
        """Run `work` on the connection, and make one if there is none yet. Raises `ExchangeDown`."""
        psycopg = driver()
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                    await self._make()
                return await work(self._connection)
            except (psycopg.Error, OSError) as error:
                if self._epoch is not None and is_superseded(error):
                    raise self._epoch.superseded() from error
                connection, self._connection = self._connection, None
                await _ended(connection)
                raise ExchangeDown(said(error, self._place)) from error

    async def _connect(self) -> "AsyncConnection[tuple[Any, ...]]":
        name = self._epoch.application_name if self._epoch else NAME
        return await connect_async(self._place, durable=True, name=name)

    async def _make(self) -> None:
        await asyncio.to_thread(partial(_make_tables, self._place))


def told_in(place: DatabasePlace) -> dict[str, PublishedUpTo]:
    """Return the note of each shard of a database, with the time of the first record beyond it, for a command.

    Return nothing before the first start of a shard. Raises `psycopg.Error` if the database cannot be asked.
    """
    with connect(place, durable=True) as connection:
        if not connection.execute(_NOTED).fetchone():
            return {}
        told = _told(connection.execute(_TOLD).fetchall())
        firsts = {
            origin: connection.execute(_FIRST, [origin, each.upto]).fetchone()
            for origin, each in told.items()
            if each.untold
        }
    return {origin: replace(each, first_ms=_time_of(firsts.get(origin))) for origin, each in told.items()}


def _time_of(row: tuple[Any, ...] | None) -> int:
    """Return the time of a line of a log, in milliseconds since 1970; 0 without a line that can be read."""
    try:
        return decode(bytes(row[0]).removesuffix(b"\n")).at_ms if row is not None else 0
    except BadLine:
        return 0


def _told(rows: Sequence[tuple[Any, ...]]) -> dict[str, PublishedUpTo]:
    return {
        str(origin): PublishedUpTo(str(era), int(upto), int(size), float(age)) for origin, era, upto, size, age in rows
    }


def _make_tables(place: DatabasePlace) -> None:
    with connect(place, durable=True) as connection, connection.transaction():
        shared_tables.make(connection)


async def _ended(connection: "AsyncConnection[tuple[Any, ...]] | None") -> None:
    if connection is not None:
        with suppress(Exception):
            await connection.close()
