"""A message is sent and redacted while the bot is away or frozen: everybody saw it, and no record has it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from bot.encryption.late_events import ReadAgain
from bot.events.parse_event import receive
from bot.matrix.errors import NotFound
from bot.pipeline.lost_time import LostTime
from moderation.values.events import Received
from moderation.values.ids import EventId, RoomId
from tests.door.offline import ANNA, BOT, ROOM, RULES, Offline, offline


class Homeserver:
    """A homeserver that keeps the words of redacted messages if `keeps` is set."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.emptied: dict[str, dict[str, Any]] = {}

    async def event(self, _room: RoomId, event: EventId) -> dict[str, Any]:
        return self.emptied[event]

    async def event_before_redaction(self, _room: RoomId, event: EventId) -> dict[str, Any]:
        if not self.keeps:
            raise NotFound("gone", status=404, errcode="M_NOT_FOUND")
        return {**self.emptied[event], "content": {"msgtype": "m.text", "body": "a forbidden word"}, "unsigned": {}}


class Reads:
    """Replaces the encryption where nothing is encrypted."""

    async def read(self, events: list[Received]) -> list[Received]:
        return events

    async def recorded(self, _events: list[Received]) -> None:
        return


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def say_and_take_back(bot: Offline, homeserver: Homeserver) -> str:
    """Deliver the message without its words, as a homeserver does after the redaction."""
    database, pipeline = bot.stores.database, bot.pipeline
    lost_time = LostTime(cast(Any, homeserver), database, bot.time, lambda event: event.sender != BOT)
    again = ReadAgain(cast(Any, homeserver), database, pipeline, cast(Any, Reads()), lost_time, bot.time)
    pipeline.decipher, pipeline.taken = again.read, (again.taken,)
    because = {"type": "m.room.redaction", "sender": ANNA, "origin_server_ts": bot.time.ms + 300}
    raw = {**bot.raw(ANNA, "m.room.message", {}), "unsigned": {"redacted_because": because}}
    homeserver.emptied[str(raw["event_id"])] = raw
    reading = asyncio.create_task(again.run())
    await pipeline.take([receive(raw, ROOM, bot.time())])
    for _ in range(500):
        await asyncio.sleep(0.01)
        if not homeserver.keeps or await bot.rows("SELECT n FROM cases"):
            break
    reading.cancel()
    return str(raw["event_id"])


@pytest.mark.parametrize("keeps", [True, False])
async def test_the_desk_is_told_and_it_is_on_record(bot: Offline, keeps: bool) -> None:
    event = await say_and_take_back(bot, Homeserver(keeps=keeps))
    (told,) = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%desk.taken-back%'")
    assert ANNA in told[0]
    record = next(r for r in bot.stores.journal.read() if r.parts and r.parts[0].get("ev") == event)
    assert (record.kind, record.fields["what"], record.fields["code"]) == ("coverage", "undecryptable", "redacted")


async def test_its_words_are_read_where_the_homeserver_keeps_them_and_judged(bot: Offline) -> None:
    await say_and_take_back(bot, Homeserver(keeps=True))
    assert await bot.rows("SELECT rule, excerpt FROM cases") == [("tickets", "a forbidden word")]
