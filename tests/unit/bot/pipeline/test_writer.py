"""A unit of work that is refused has not begun, and leaves nothing behind."""

import gc
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.app import records_only
from bot.config.config import load_config
from moderation.model.facts import BotStarted
from storage import schema

HEAD = '[homeserver]\nurl = "http://127.0.0.1:1"\nuser = "@answerable:example.org"\n'


async def refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one unit of work fail half-way, and try others after it."""

    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with records_only(load_config(folder / "config.toml")) as operations:
        pipeline = operations._pipeline
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr("bot.pipeline.writer.set_all_meta", full)  # the journal has it by then
            await pipeline.commit((BotStarted(version="1"),))
        size = pipeline.writer.journal.size
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                await pipeline.commit((BotStarted(version="2"),))
        assert pipeline.writer.journal.size == size


async def test_after_a_failed_turn_nobody_else_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "config.toml").write_text(HEAD)
    (tmp_path / "data").mkdir(mode=0o700)
    gc.collect()  # what earlier tests left
    recwarn.clear()
    await refused(tmp_path, monkeypatch)
    gc.collect()
    assert [str(each.message) for each in recwarn] == []


async def test_a_change_that_cannot_be_made_keeps_the_records_of_its_unit_out_of_the_journal(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(HEAD)
    (tmp_path / "data").mkdir(mode=0o700)

    async def twice(db: AsyncConnection) -> None:
        for _ in range(2):
            await db.execute(insert(schema.meta).values(key="once", value=""))

    async with records_only(load_config(tmp_path / "config.toml")) as operations:
        pipeline = operations._pipeline
        size = pipeline.writer.journal.size
        with pytest.raises(IntegrityError):
            await pipeline.commit((BotStarted(version="1"),), also=twice)
        assert pipeline.writer.journal.size == size
        await pipeline.commit((BotStarted(version="2"),))
        assert pipeline.writer.journal.size == size + 1
