"""Once a week each desk is told the sums of its rooms in one message, however many rooms share it."""

import json
from pathlib import Path

from sqlalchemy import update

from bot.scheduler.digest import Digester
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import TellDesk
from moderation.values.durations import DAY_MS
from moderation.values.ids import GroupCode, RoomId
from moderation.values.notices import RoomName
from storage import schema
from tests.door.offline import ANNA, DESK, LEVELS, MARK, OLGA, ROOM, Offline, offline

KITCHEN = RoomId("!kitchen:example.org")


async def figures(bot: Offline) -> list[TellDesk]:
    """Return what desks are told."""
    rows = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%digest.figures-of-all%' ORDER BY id")
    told = [from_json(json.loads(row[0])) for row in rows]
    return [each for each in told if isinstance(each, TellDesk)]


async def test_a_desk_of_two_rooms_is_told_their_sums_in_one_message(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.enter_room(KITCHEN, GroupCode("G-2222"), "group", LEVELS, "11", (OLGA, MARK, ANNA))
        async with bot.stores.database.write() as db:
            groups = schema.rooms.c.purpose == "group"
            await db.execute(update(schema.rooms).where(groups).values(desk=DESK))
        digester = Digester(bot.stores.database, bot.pipeline, bot.config.policy, bot.time, at="00:00", zone="UTC")
        await digester.look()
        for number, room in enumerate((ROOM, KITCHEN), 1):
            await bot.say(ANNA, "forbidden", room)
            await bot.say(MARK, f"!dismiss {number} harmless", room)
        await bot.pass_time(7 * DAY_MS)
        await digester.look()
        (told,) = await figures(bot)
        assert told.room == ROOM
        assert [(each.key, each.fields.get("room")) for each in told.lines] == [
            ("digest.figures-of-all", None),
            ("digest.figures-sum", RoomName(ROOM)),
            ("digest.figures-sum", RoomName(KITCHEN)),
        ]
