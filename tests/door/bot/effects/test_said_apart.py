"""A message for several rooms of a desk reaches each of them if they part before it is sent."""

from pathlib import Path
from typing import Any

from bot.bot_rooms.direct_rooms import DirectRooms
from bot.effects.send_notice import Notifier
from bot.scheduler.digest import Digester
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import DeskChosen
from moderation.values.durations import DAY_MS
from moderation.values.ids import EventId, RoomId
from moderation.values.notices import RoomName, Who, line
from tests.door.offline import ANNA, BOT, MARK, OLGA, ROOM, Offline
from tests.door.two_rooms import KITCHEN, of_two_rooms

GARDEN = line("desk.parted.asked", room=RoomName(ROOM))
BOTH, LATER = line("desk.back", who=Who(OLGA)), line("desk.parted.asked", room=RoomName(KITCHEN))


class Homeserver:
    """A homeserver that takes every message."""

    user = BOT

    def __init__(self) -> None:
        self.sent: list[RoomId] = []

    async def send(self, room: RoomId, _kind: str, _content: Any, _txn: str) -> EventId:
        self.sent.append(room)
        return EventId("$sent")


async def told(bot: Offline) -> TellDesk:
    """Return the message to managers that waits."""
    found = [row.action for row in await bot.waiting() if isinstance(row.action, TellDesk)]
    (one,) = [each for each in found if BOTH in each.lines]
    return one


async def part(bot: Offline) -> None:
    await bot.pipeline.commit((DeskChosen(room=KITCHEN, why="differ"),))


async def test_each_room_is_told_its_own_lines(tmp_path: Path) -> None:
    async with of_two_rooms(tmp_path) as bot:
        garden, kitchen = TellDesk(room=ROOM, lines=(BOTH, GARDEN)), TellDesk(room=KITCHEN, lines=(BOTH, LATER))
        await bot.pipeline.commit(actions=(garden, kitchen, kitchen))
        one = await told(bot)
        assert (one.room, one.also, one.lines) == (ROOM, (KITCHEN,), (BOTH, GARDEN, LATER))
        homeserver = Homeserver()
        notifier = Notifier(bot.services(homeserver), DirectRooms(bot.services(homeserver)))
        await part(bot)
        done = await notifier.tell_desk(one, "txn")
        assert (done.actions, homeserver.sent) == ((garden, kitchen), [])


async def test_the_digest_of_each_room_is_its_own(tmp_path: Path) -> None:
    async with of_two_rooms(tmp_path) as bot:
        digester = Digester(bot.stores.database, bot.pipeline, bot.config.policy, bot.time, at="00:00", zone="UTC")
        await digester.look()
        for room in (ROOM, KITCHEN):
            await bot.say(ANNA, "forbidden", room)
        await bot.pass_time(DAY_MS)
        await digester.look()
        (one,) = [row.action for row in await bot.waiting() if getattr(row.action, "once", "") == "digest"]
        assert isinstance(one, TellDesk)
        counted = [[each.fields["count"] for each in part.lines if each.key == "digest.head"] for part in one.apart]
        assert ([part.room for part in one.apart], counted) == ([ROOM, KITCHEN], [[1], [1]])


async def test_the_figures_of_a_room_wait_until_all_in_the_desk_may_read_them(tmp_path: Path) -> None:
    async with of_two_rooms(tmp_path) as bot:
        digester = Digester(bot.stores.database, bot.pipeline, bot.config.policy, bot.time, at="00:00", zone="UTC")
        await digester.look()
        for number, room in enumerate((ROOM, KITCHEN), 1):
            await bot.say(ANNA, "forbidden", room)
            await bot.say(MARK, f"!dismiss {number} harmless", room)
        await bot.pass_time(7 * DAY_MS)
        await digester.look()
        (one,) = [row.action for row in await bot.waiting() if getattr(row.action, "once", "") == "figures"]
        assert isinstance(one, TellDesk)
        assert one.also == (KITCHEN,)
