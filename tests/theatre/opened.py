"""The state that a deployment keeps, as a test opens and reads it itself, on either database, bot running or not.

On PostgreSQL only the leader writes: a test writes in the name of the bot that leads, or else leads meanwhile.
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from bot.config.config import Config
from bot.leading.lead import leads, who_leads
from bot.pipeline.replay import rebuild
from storage.database.database import Database
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, open_small_store, open_to_read
from storage.database.small_tables import SmallTable
from storage.identity.sealing import Kek
from storage.identity.store import IdentityStore
from storage.journal.journal import Journal
from storage.moving import stores
from storage.projections import LeftEvents
from tests.theatre.engine import place_in
from tests.theatre.state_tables import Copy, StateTables

_TABLES = """SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
    WHERE starts_with(schemaname, 'answerable') ORDER BY 1"""


@contextmanager
def leading(config: Config) -> Iterator[Epoch | None]:
    """Provide the epoch in which a test may write; None without PostgreSQL."""
    leader, _ = who_leads(config.place)
    if leader is not None and not leader.resigned:
        yield Epoch(config.place.shard, leader.epoch, leader.holder)
        return
    with leads(config) as epoch:
        yield epoch


@contextmanager
def identity_store(config: Config, kek: Kek | None) -> Iterator[IdentityStore]:
    """Open the identity store inside this block."""
    with leading(config) as epoch, closing(IdentityStore.open(config.place, kek, epoch)) as store:
        yield store


def copy_of_identities(config: Config) -> Copy:
    """Return all rows of the identity store."""
    where, tables = _identities(config)
    store = open_to_read(where)
    assert store is not None
    with closing(store):
        return {table.name: [tuple(row) for row in store.execute(table.select())] for table in tables}


def put_back_identities(config: Config, copy: Copy) -> None:
    """Make the identity store as it was."""
    where, tables = _identities(config)
    with leading(config) as epoch, closing(open_small_store(where, epoch)) as store, store.transaction():
        for table in tables:
            store.execute(f'DELETE FROM "{table.name}"')
            store.executemany(table.insert(), copy[table.name])


def _identities(config: Config) -> tuple[SmallPlace, tuple[SmallTable, ...]]:
    store = stores.identity_store(config.place)
    return store.where, store.tables


async def made_again(journal: Journal, folder: Path, left: LeftEvents | None = None) -> StateTables:
    """Return tables made from a log alone, in a new folder. `left`: up to where events had left their table."""
    await asyncio.to_thread(folder.mkdir)
    database = await Database.open(place := place_in(folder))
    try:
        await rebuild(journal, database, left)
    finally:
        await database.close()
    return StateTables(place)


def kept_in(place: DatabasePlace) -> dict[str, bytes]:
    """Return everything that a deployment keeps: each file of its data directory, and each table of its server."""
    files = (path for path in sorted(place.data_dir.rglob("*")) if path.is_file())
    kept = {str(path.relative_to(place.data_dir)): path.read_bytes() for path in files}
    if place.url is not None:
        with psycopg.connect(place.url.get_secret_value()) as server:
            for (table,) in server.execute(_TABLES).fetchall():
                rows = server.execute(f"SELECT * FROM {table}".encode()).fetchall()
                kept[table] = b"\n".join(_bytes_of(value) for row in rows for value in row)
    return kept


def places_of(words: str, place: DatabasePlace) -> list[str]:
    """Return the files and tables that contain some words."""
    return [name for name, content in kept_in(place).items() if words.encode() in content]


def cut_end(place: DatabasePlace, count: int) -> None:
    """Cut the last records off the open day of a log, with the checkpoint of its present end; the bot is stopped."""
    records = place.data_dir / "records"
    (day,) = (records / "day").glob("*.jsonl")
    day.write_bytes(b"".join(day.read_bytes().splitlines(keepends=True)[:-count]))
    (records / "checkpoint").unlink()
    for begun in sorted((records / "tile").rglob("*.p")):
        shutil.rmtree(begun)  # tiles that are not full, as of that checkpoint
    if place.url is not None:
        with psycopg.connect(place.url.get_secret_value()) as server:
            end = "(SELECT max(idx) + 1 - %s FROM answerable_shared.log WHERE shard = %s)"
            for table, number in (("checkpoints", "size - 1"), ("log", "idx")):
                cut = f"DELETE FROM answerable_shared.{table} WHERE shard = %s AND {number} >= {end}"
                server.execute(cut.encode(), (place.shard, count, place.shard))


def _bytes_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
