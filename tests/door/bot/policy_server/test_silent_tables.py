"""Tables that are slow, silent, missing or damaged: everybody is let through, and nobody waits for long."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy_server import bot_tables
from bot.policy_server.bot_tables import TablesSilent
from storage.database.sqlite_driver import SqliteConnection
from tests.door.bot.policy_server.asked import BAD, GOOD, Asked, asked
from tests.door.offline import ANNA, BOT, OLGA


async def judged_again(server: Asked) -> None:
    """Ask until something is refused."""
    async with asyncio.timeout(120):
        depth = 100
        while (await server.ask(server.pdu(ANNA, BAD, depth=depth))).signature:
            depth += 1
            await asyncio.sleep(0.01)


@asynccontextmanager
async def hanging_reads(server: Asked, count: int, *, given_up: bool = False, origin: str = "") -> AsyncIterator[None]:
    """Let so many reads of the tables hang; `given_up`: nobody waits for them any more."""
    goes_on, waiting = threading.Event(), list[asyncio.Future[None]]()
    url = server.bot.config.place.url
    locked = psycopg.connect(url.get_secret_value()) if url is not None else None
    if locked is not None:
        locked.execute("SELECT pg_advisory_lock(1)")

    async def hangs(db: AsyncConnection) -> None:
        if isinstance(db, SqliteConnection):
            await db.hand_over(lambda _: goes_on.wait())
        else:
            await db.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(1)")

    try:
        if given_up:
            for _ in range(count):
                with pytest.raises(TablesSilent):
                    await server.tables.ask(hangs, 0.01, origin)
        else:
            waiting = [asyncio.ensure_future(server.tables.ask(hangs, 600, origin)) for _ in range(count)]
            await asyncio.sleep(0)  # so that they begin
        yield
    finally:
        goes_on.set()
        if locked is not None:
            locked.close()
        await asyncio.gather(*waiting)


async def test_while_the_tables_hang_everything_is_let_through_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_tables, "_HANGS_S", 0.0)
    async with asked(tmp_path) as server:
        async with hanging_reads(server, 4, given_up=True):
            assert (await server.ask(server.pdu(ANNA, BAD))).signature
            assert server.counted() == {"not_judged": 1}
        await judged_again(server)


@pytest.mark.parametrize(("many", "hangs_s"), [(3, 0.0), (7, 600.0)], ids=["few hang", "many are late"])
async def test_a_few_late_reads_do_not_keep_others_from_being_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, hangs_s: float
) -> None:
    monkeypatch.setattr(bot_tables, "_HANGS_S", hangs_s)
    async with asked(tmp_path) as server, hanging_reads(server, many, given_up=True):
        assert not (await server.ask(server.pdu(ANNA, BAD))).signature


async def test_the_second_look_before_a_refusal_waits_for_no_first_look(tmp_path: Path) -> None:
    async def answers(_db: AsyncConnection) -> bool:
        return True

    async with asked(tmp_path) as server, hanging_reads(server, 20, origin="loud.example"):
        assert await server.tables.ask(answers, 60, "example.org", again=True)


async def test_nobody_waits_longer_than_the_owner_chose(tmp_path: Path) -> None:
    async with asked(tmp_path, within_ms=1) as server, hanging_reads(server, 8):
        assert (await server.ask(server.pdu(ANNA, BAD))).signature  # though those places are all taken
        assert server.counted() == {"not_judged": 1}


async def test_people_who_are_known_are_judged_without_the_tables(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        assert (await server.ask(server.pdu(ANNA, GOOD))).signature
        async with hanging_reads(server, 8):
            assert (await server.ask(server.pdu(ANNA, GOOD, depth=8))).signature
            assert server.counted() == {"judged": 2}


async def test_what_the_bot_has_written_since_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anna, a manager, may write anything; once she is a member again, she may not."""
    monkeypatch.setattr(bot_tables, "_GOOD_FOR_S", 0.0)
    async with asked(tmp_path) as server:
        await server.bot.levels(OLGA, {OLGA: 100, BOT: 100, ANNA: 50})
        for depth in (1, 2):
            assert (await server.ask(server.pdu(ANNA, BAD, depth=depth))).signature
        await server.bot.levels(OLGA, {OLGA: 100, BOT: 100})
        await server.tables.look()
        assert not (await server.ask(server.pdu(ANNA, BAD, depth=3))).signature


async def test_without_tables_everything_is_let_through(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        with server.bot.state.away():
            await server.tables.close()  # as after a start, or once it is seen that the file is another
            assert (await server.ask(server.pdu(ANNA, BAD))).signature
        await judged_again(server)


async def test_damaged_tables_let_everything_through(tmp_path: Path) -> None:
    async with asked(tmp_path) as server:
        server.bot.state.damage()
        await server.tables.close()
        assert (await server.ask(server.pdu(ANNA, BAD))).signature
        assert server.counted() == {"not_judged": 1}
