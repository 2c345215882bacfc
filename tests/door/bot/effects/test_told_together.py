"""Charges for one incident in several rooms are told in one message, if that still waits."""

from pathlib import Path
from typing import Any

from bot.bot_rooms.direct_rooms import DirectRooms
from bot.effects.send_notice import Notifier
from moderation.model.actions.telling import Tell
from moderation.model.facts import NoticeGiven
from moderation.values.ids import EventId, GroupCode, RoomId
from storage import outbox
from tests.door.offline import ANNA, BOT, LEVELS, MARK, MINA, OLGA, ROOM, RULES, Offline, offline

AT_ONCE = RULES.replace('decide = "manager"', 'decide = "auto"')
KITCHEN, DIRECT = RoomId("!kitchen:example.org"), RoomId("!direct:example.org")


class Homeserver:
    """A homeserver that takes every message."""

    user = BOT

    def __init__(self) -> None:
        self.said: list[str] = []

    async def is_encrypted(self, _room: RoomId) -> bool:
        return False

    async def send(self, _room: RoomId, _kind: str, content: dict[str, Any], _txn: str) -> EventId:
        self.said.append(content["body"])
        return EventId("$sent")


async def broken_in_two_rooms(bot: Offline) -> None:
    await bot.enter_room(KITCHEN, GroupCode("G-2222"), "group", LEVELS, "11", (OLGA, MARK, MINA, ANNA))
    for room in (ROOM, KITCHEN):
        await bot.say(ANNA, "forbidden", room)


async def told(bot: Offline) -> list[outbox.OutboxRow]:
    """Return the messages to Anna that wait."""
    return [row for row in await bot.waiting() if isinstance(row.action, Tell) and row.action.subject == ANNA]


async def test_both_cases_are_in_it_each_with_its_notice(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE) as bot:
        await bot.enter_room(DIRECT, GroupCode("G-3333"), "direct", {}, "11", (ANNA,), owner=ANNA)
        await broken_in_two_rooms(bot)
        (row,) = await told(bot)
        assert isinstance(row.action, Tell)
        assert (row.action.n, row.action.also) == (1, (2,))
        homeserver = Homeserver()
        services = bot.services(homeserver)
        done = await Notifier(services, DirectRooms(services)).tell(row.action, row.txn)
        (said,) = homeserver.said
        assert all(f"!appeal {n}" in said for n in (1, 2))
        assert [fact.n for fact in done.facts if isinstance(fact, NoticeGiven)] == [1, 2]


async def test_more_of_the_same_cases_adds_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE) as bot:
        await broken_in_two_rooms(bot)
        before = await told(bot)
        for room in (KITCHEN, ROOM):
            await bot.say(ANNA, "forbidden again", room)
        assert await told(bot) == before


async def test_what_is_being_sent_stays_as_it_is(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE) as bot:
        await bot.say(ANNA, "forbidden")
        (row,) = await told(bot)
        async with bot.stores.database.write() as db:
            assert await outbox.mark_sending(db, [row.id]) == {row.id: row.action}
        await broken_in_two_rooms(bot)
        first, second = await told(bot)
        assert (first.action, getattr(second.action, "n", 0)) == (row.action, 2)
