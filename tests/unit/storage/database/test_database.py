"""Opening the state database: one writer, concurrent readers, and refusals."""

import asyncio
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DBAPIError

from moderation.values.errors import Broken, Invalid
from storage import schema
from storage.database.database import Database, state_of
from storage.database.place import FILE, DatabasePlace
from storage.projections import set_meta
from storage.queries import get_meta


async def test_committed_rows_survive_reopening(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        await set_meta(db, "sync_token", "s1")
        await set_meta(db, "sync_token", "s2")
    await database.close()
    again = await Database.open(DatabasePlace(tmp_path))
    async with again.read() as db:
        assert await get_meta(db, "sync_token") == "s2"
        assert await get_meta(db, "nothing") is None
    await again.close()


async def test_an_error_undoes_the_whole_transaction_and_the_next_one_works(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    with pytest.raises(ZeroDivisionError):
        async with database.write() as db:
            await set_meta(db, "a", "1")
            raise ZeroDivisionError
    async with database.write() as db:
        await set_meta(db, "b", "2")
    async with database.read() as db:
        assert {row.key for row in await db.execute(select(schema.meta))} == {"b"}
    await database.close()


async def test_a_reader_sees_the_last_committed_state_and_does_not_wait_for_the_writer(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        await set_meta(db, "a", "1")
        async with database.read() as reading:
            assert await get_meta(reading, "a") is None
        assert await get_meta(db, "a") == "1"
    async with database.read() as reading:
        assert await get_meta(reading, "a") == "1"
    await database.close()


async def test_one_query_is_run_on_the_last_committed_state(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        await set_meta(db, "a", "1")
        assert await database.fetch(get_meta, "a") is None
    assert await database.fetch(get_meta, "a") == "1"
    await database.close()


@pytest.mark.parametrize("steps", range(12))
async def test_cleaning_that_is_cancelled_leaves_the_writer_usable(tmp_path: Path, steps: int) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    cleaning = asyncio.create_task(database.clean())
    for _ in range(steps):
        await asyncio.sleep(0)
    cleaning.cancel()
    await asyncio.wait({cleaning})
    async with database.write() as db:
        await set_meta(db, "a", "1")
    async with database.read() as reading:
        assert await get_meta(reading, "a") == "1"
    await database.close()


async def test_two_writers_take_turns(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))

    async def count_up() -> None:
        async with database.write() as db:
            before = int(await get_meta(db, "n") or 0)
            await asyncio.sleep(0)
            await set_meta(db, "n", str(before + 1))

    await asyncio.gather(*(count_up() for _ in range(20)))
    async with database.read() as db:
        assert await get_meta(db, "n") == "20"
    await database.close()


async def test_a_case_without_evidence_of_its_own_is_refused_by_the_tables(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    with pytest.raises(DBAPIError, match="FOREIGN KEY"):
        async with database.write() as db:
            await db.execute(insert(schema.evidence).values(record=1, n=77, event="$e"))
    await database.close()


async def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        await set_meta(db, "a", "1")
    assert modes(tmp_path) == {0o600}
    await database.close()


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.glob(f"{FILE}*")}


async def test_opened_for_reading_it_is_not_written(tmp_path: Path) -> None:
    await (await Database.open(DatabasePlace(tmp_path))).close()
    reader = await Database.open(DatabasePlace(tmp_path), read_only=True)
    with pytest.raises(Broken):
        async with reader.write():
            pass
    with pytest.raises(DBAPIError, match="readonly"):
        async with reader.read() as db:
            await set_meta(db, "a", "1")
    await reader.close()


async def test_reading_where_there_is_nothing_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no database"):
        await Database.open(DatabasePlace(tmp_path), read_only=True)
    assert modes(tmp_path) == set()


async def test_an_invalid_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    for read_only in (True, False):
        with pytest.raises(Invalid, match="not a database"):
            await Database.open(DatabasePlace(tmp_path), read_only=read_only)
    assert (tmp_path / FILE).read_bytes() == b"this is no database" * 100


_LOOK = """
import asyncio, os, sys
from pathlib import Path
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.queries import get_meta

async def look():
    database = await Database.open(DatabasePlace(Path(sys.argv[1])), read_only=True)
    async with database.read() as db:
        found = await get_meta(db, "applied")
    await database.close()
    return found

asyncio.run(look())
os.chmod(sys.argv[1], 0o555)
if os.geteuid() == 0:
    os.setuid(65534)
print(asyncio.run(look()))
"""


def test_a_copy_where_nothing_can_be_written_is_read() -> None:
    """This is a copy from an operator, on another person's disk."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_seven(Path(name)))
        (Path(name) / FILE).chmod(0o444)
        ran = subprocess.run([sys.executable, "-c", _LOOK, name], capture_output=True, text=True, check=False)
        Path(name).chmod(0o700)
    assert (ran.stdout, ran.stderr) == ("7\n", "")


async def _seven(folder: Path) -> None:
    database = await Database.open(DatabasePlace(folder))
    async with database.write() as db:
        await set_meta(db, "applied", "7")
    await database.close()


async def test_a_database_that_nobody_has_open_is_opened_again_once_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that cannot write there and was opened between two runs of the bot would see no more."""
    await (await Database.open(DatabasePlace(tmp_path))).close()
    monkeypatch.setattr("storage.database.sqlite.os.access", lambda _path, _mode: False)
    before = state_of(DatabasePlace(tmp_path))
    reader = await Database.open(DatabasePlace(tmp_path), read_only=True)
    assert before == state_of(DatabasePlace(tmp_path))
    writer = await Database.open(DatabasePlace(tmp_path))
    async with writer.write() as db:
        await set_meta(db, "digest", "today")
    assert state_of(DatabasePlace(tmp_path)) != before
    await reader.close()
    again = await Database.open(DatabasePlace(tmp_path), read_only=True)
    during = state_of(DatabasePlace(tmp_path))
    for day in ("tomorrow", "after that"):
        async with writer.write() as db:
            await set_meta(db, "digest", day)
        await writer.clean()
        assert state_of(DatabasePlace(tmp_path)) == during, "open while it is written to: it sees what is committed"
        async with again.read() as db:
            assert await get_meta(db, "digest") == day
    await again.close()
    await writer.close()
    assert state_of(DatabasePlace(tmp_path)) != during


async def filled(folder: Path, rows: int) -> Database:
    """Return a database with many values of the deployment."""
    database = await Database.open(DatabasePlace(folder))
    async with database.write() as db:
        await db.execute(
            insert(schema.meta), [{"key": f"filler {number}", "value": "x" * 2_000} for number in range(rows)]
        )
    return database


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{FILE}*"))


async def test_room_that_many_deleted_rows_left_is_given_back_a_little_at_a_time(tmp_path: Path) -> None:
    database = await filled(tmp_path, 6_000)
    async with database.write() as db:
        await db.execute(delete(schema.meta).where(schema.meta.c.key.like("filler %")))
    await database.clean()
    sizes = [size_of(tmp_path)]
    for _ in range(20):
        await database.give_back()
        await database.clean()
        sizes.append(size_of(tmp_path))
    assert sizes == sorted(sizes, reverse=True)
    assert 0 < sizes[0] - sizes[1] < 3_000_000
    assert sizes[-1] == sizes[-2] < 6_000_000  # what is left is for new rows
    await database.close()


async def test_room_that_few_deleted_rows_left_stays_for_new_ones(tmp_path: Path) -> None:
    database = await filled(tmp_path, 500)
    async with database.write() as db:
        await db.execute(delete(schema.meta).where(schema.meta.c.key.like("filler %")))
    await database.clean()
    before = size_of(tmp_path)
    await database.give_back()
    await database.clean()
    assert size_of(tmp_path) == before
    await database.close()
