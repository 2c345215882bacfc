"""A message is sent and redacted while the bot is away or frozen: everybody saw it, and no record has it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from bot.encryption.late_events import ReadAgain, UnreadQueue
from bot.events.parse_event import receive
from bot.matrix.errors import NotFound
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.lost_time import RemovedMessages
from moderation.values.events import Received
from moderation.values.ids import EventId, RoomId
from tests.door.offline import ANNA, ROOM, RULES, Offline, offline
from tests.theatre.served import until


class Homeserver:
    """A homeserver that keeps the words of redacted messages if `keeps` is set."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.asked = False  # for the words of a redacted message
        self.emptied: dict[str, dict[str, Any]] = {}

    async def event(self, _room: RoomId, event: EventId) -> dict[str, Any]:
        return self.emptied[event]

    async def event_before_redaction(self, _room: RoomId, event: EventId) -> dict[str, Any]:
        self.asked = True
        if not self.keeps:
            raise NotFound("gone", status=404, errcode="M_NOT_FOUND")
        return {**self.emptied[event], "content": {"msgtype": "m.text", "body": "a forbidden word"}, "unsigned": {}}


class Reader(PlainReader):
    """Reads where nothing is encrypted, and keeps what was removed before it was read."""

    def __init__(self) -> None:
        self.unread = UnreadQueue()

    def recorded(self, events: Sequence[Received]) -> None:
        self.unread.add(events)


class Reads(PlainReader):
    """Replaces the encryption where nothing is encrypted."""

    async def recorded(self, _events: list[Received]) -> None:  # type: ignore[override]
        return


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Offline, Reader]]:
    reader = Reader()
    async with offline(tmp_path, RULES, reader=reader) as served:
        yield served, reader


async def say_and_take_back(bot: Offline, reader: Reader, homeserver: Homeserver) -> str:
    """Deliver the message without its words, as a homeserver does after the redaction."""
    port, reads = cast(Any, homeserver), cast(Any, Reads())
    removed = RemovedMessages(port, bot.pipeline.lost_time, bot.time, None)
    again = ReadAgain(bot.services(port), reads, removed, reader.unread)
    because = {"type": "m.room.redaction", "sender": ANNA, "origin_server_ts": bot.time.ms + 300}
    raw = {**bot.raw(ANNA, "m.room.message", {}), "unsigned": {"redacted_because": because}}
    homeserver.emptied[str(raw["event_id"])] = raw
    reading = asyncio.create_task(again.run())
    await bot.pipeline.take([receive(raw, ROOM, bot.time())])

    async def is_read() -> bool:
        return homeserver.asked and (not homeserver.keeps or bool(await bot.rows("SELECT n FROM cases")))

    await until(is_read, "its words to be fetched and judged")
    reading.cancel()
    return str(raw["event_id"])


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_message_removed_before_it_was_read_is_recorded_and_told_in_the_desk(
    place: tuple[Offline, Reader], keeps: bool
) -> None:
    bot = place[0]
    event = await say_and_take_back(*place, Homeserver(keeps=keeps))
    (told,) = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%desk.taken-back%'")
    assert ANNA in told[0]
    record = next(r for r in bot.stores.journal.read() if r.parts and r.parts[0].get("ev") == event)
    assert (record.kind, record.fields["what"], record.fields["code"]) == ("coverage", "undecryptable", "redacted")


async def test_removed_words_are_fetched_from_the_homeserver_and_judged(place: tuple[Offline, Reader]) -> None:
    await say_and_take_back(*place, Homeserver(keeps=True))
    assert await place[0].rows("SELECT rule, excerpt FROM cases") == [("tickets", "a forbidden word")]
