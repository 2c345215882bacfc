"""Ciphertext in a room that is not encrypted, or keys kept from the bot: friends can read it, the bot cannot."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.pipeline.event_reader import PlainReader
from bot.pipeline.unread_reasons import UnreadReasons
from moderation.values.durations import DAY_MS
from moderation.values.events import IN_A_PLAIN_ROOM, Received, Undecryptable
from moderation.values.ids import EventId
from tests.door.offline import ANNA, RULES, Offline, offline

SEALED = {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "s", "ciphertext": "A"}


class Reader(PlainReader):
    """Reads nothing; `in_a_plain_room` it says so, as the crypto machine does where a room is not encrypted."""

    def __init__(self) -> None:
        self.in_a_plain_room = False

    async def read(self, events: Sequence[Received]) -> Sequence[Received]:
        if not self.in_a_plain_room:
            return events
        return [replace(each, code=IN_A_PLAIN_ROOM) if isinstance(each, Undecryptable) else each for each in events]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture(params=["tell", "remove"])
async def bot(tmp_path: Path, request: pytest.FixtureRequest, reader: Reader) -> AsyncIterator[Offline]:
    async with offline(tmp_path, f'unreadable = "{request.param}"' + RULES, reader=reader) as served:
        yield served


def removes(bot: Offline) -> bool:
    return bot.config.bot.unreadable == "remove"


async def queued(bot: Offline, key: str) -> int:
    return len(await bot.rows(f"SELECT 1 FROM outbox WHERE action LIKE '%{key}%' AND action LIKE '%{ANNA}%'"))


async def removed(bot: Offline) -> int:
    return len(await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%\"redact\"%'"))


async def test_ciphertext_in_a_plain_room_is_told_to_sender_and_desk_once_a_day(bot: Offline, reader: Reader) -> None:
    reader.in_a_plain_room = True
    for _ in range(3):
        await bot.event(ANNA, "m.room.encrypted", SEALED)
    assert (await queued(bot, '"sealed.plain'), await queued(bot, '"desk.sealed.plain')) == (1, 1)
    assert await removed(bot) == (2 if removes(bot) else 0)
    await bot.pass_time(DAY_MS)
    await bot.event(ANNA, "m.room.encrypted", SEALED)
    assert await queued(bot, '"sealed.plain') == 2
    assert await removed(bot) == (2 if removes(bot) else 0)
    records = [record for record in bot.stores.journal.read() if record.fields.get("code") == IN_A_PLAIN_ROOM]
    assert len(records) == 4


@pytest.mark.parametrize(("code", "follows"), [("m.unverified", True), ("m.blacklisted", True), ("m.no_olm", False)])
async def test_withheld_keys_are_told_once_a_day_and_lost_keys_are_not(bot: Offline, code: str, follows: bool) -> None:
    events = [await bot.event(ANNA, "m.room.encrypted", SEALED) for _ in range(2)]
    for event in events:
        await UnreadReasons(bot.pipeline, bot.stores.database).take([(EventId(event), code)])
    assert await queued(bot, '"desk.sealed.withheld') == (1 if follows else 0)
    assert await queued(bot, '"sealed.removed') == (1 if follows and removes(bot) else 0)
    assert await removed(bot) == (1 if follows and removes(bot) else 0)
