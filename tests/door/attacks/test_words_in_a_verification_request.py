"""A manager of one room writes into another a message that only looks like a request to compare keys."""

from pathlib import Path

from moderation.values.ids import GroupCode, RoomId
from tests.door.offline import BOT, LEVELS, MARK, RULES, offline

KITCHEN = RoomId("!kitchen:example.org")
AT_ONCE = RULES.replace('decide = "manager"', 'decide = "auto"\nmeasure = "redact"')
ELSEWHERE = {"users": {key: level for key, level in LEVELS["users"].items() if key != str(MARK)}}


async def test_a_manager_of_another_room_is_not_exempt(tmp_path: Path) -> None:
    async with offline(tmp_path, AT_ONCE, levels=ELSEWHERE) as bot:
        await bot.enter_room(KITCHEN, GroupCode("G-CU5K"), "group", LEVELS, "11", (MARK,))
        content = {"msgtype": "m.key.verification.request", "body": "a forbidden word", "to": str(BOT)}
        event = await bot.event(MARK, "m.room.message", content)
        assert await bot.rows("SELECT rule, state FROM cases") == [("tickets", "decided")]
        assert (event,) in await bot.rows("SELECT json_extract(action, '$.event') FROM outbox")
