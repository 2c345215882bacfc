"""Ciphertext in a room that is not encrypted: friends have the key, the bot has not, and nobody is told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.durations import DAY_MS
from moderation.events import IN_A_PLAIN_ROOM, Received, Undecryptable
from tests.bot.offline import ANNA, RULES, Offline, offline


async def unreadable(events: Sequence[Received]) -> Sequence[Received]:
    """What the machine makes of them."""
    return [replace(each, code=IN_A_PLAIN_ROOM) if isinstance(each, Undecryptable) else each for each in events]


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        served.pipeline.decipher = unreadable
        yield served


async def told(bot: Offline, key: str) -> int:
    return len(await bot.rows(f"SELECT 1 FROM outbox WHERE action LIKE '%{key}%' AND action LIKE '%{ANNA}%'"))


async def test_its_sender_and_the_desk_are_told_once_a_day(bot: Offline) -> None:
    content = {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s", "ciphertext": "A"}
    for _ in range(3):
        await bot.event(ANNA, "m.room.encrypted", content)
    assert (await told(bot, "sealed.told"), await told(bot, "desk.sealed")) == (1, 1)
    await bot.pass_time(DAY_MS)
    await bot.event(ANNA, "m.room.encrypted", content)
    assert await told(bot, "sealed.told") == 2
    records = [record for record in bot.stores.journal.read() if record.fields.get("code") == IN_A_PLAIN_ROOM]
    assert len(records) == 4
