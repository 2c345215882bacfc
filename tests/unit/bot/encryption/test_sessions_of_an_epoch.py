"""A group session of one epoch is not used in the next: a copy of the database may lack its last messages."""

from pathlib import Path
from typing import Any, cast

from bot.crypto.outbound import RoomEncryption
from bot.encryption.service import open_machine
from bot.matrix.login import Session
from moderation.values.ids import UserId
from tests.postgres.engines import SQLITE, Engine

US = UserId("@bot:example.org")
SESSION = Session("http://127.0.0.1:8008", US, "DEVICE", "token")


async def session_used(engine: Engine, folder: Path) -> str:
    """Start the device; return the session that a message of it is encrypted with."""
    epoch = engine.take_over() if engine.url is not None else None
    machine = await open_machine(engine.place(folder), SESSION, cast(Any, None), lambda: 1, epoch=epoch)
    try:
        us = await machine.identity()
        return await machine.store.run(
            lambda db: machine._outbound.prepare(db, us, "!room:x", [US], RoomEncryption(), 1)
        )
    finally:
        await machine.close()


async def test_on_postgresql_each_start_begins_new_sessions(engine: Engine, tmp_path: Path) -> None:
    first, second = await session_used(engine, tmp_path), await session_used(engine, tmp_path)
    assert (first == second) is (engine.name == SQLITE)  # a file does not go back by itself
