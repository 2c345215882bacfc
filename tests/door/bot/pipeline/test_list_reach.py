"""A decision of a room's people about an entry of a policy list counts as far as their word reaches."""

from pathlib import Path

from moderation.model.facts import CaseOpened, SanctionStarted
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.lists import entries
from tests.door.offline import ANNA, LEVELS, MARK, OLGA, ROOM, Offline, offline
from tests.unit.moderation.lists.made import made

HALL = RoomId("!hall:example.org")
CAROL = UserId("@carol:example.org")
HALLS = {"users": {**LEVELS["users"], str(CAROL): 50}}


async def hall(bot: Offline) -> None:
    """Enter a second room, run by others, in which Anna is too."""
    await bot.enter_room(HALL, GroupCode("G-HALL"), "group", HALLS, "11", (OLGA, CAROL, ANNA))


def opened(bot: Offline) -> list[RoomId | None]:
    return [fact.room for fact in bot.facts(CaseOpened)]


async def test_each_community_decides_for_itself(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await hall(bot)
        await entries(bot, made("user", ANNA))
        assert opened(bot) == [ROOM, HALL]
        await bot.say(MARK, "!dismiss 1 we know her")
        await entries(bot, made("user", ANNA), made("user", "@other:x", key="2"), trust="apply")
        assert [(fact.room, fact.n) for fact in bot.facts(SanctionStarted)] == []
        await bot.say(CAROL, "!uphold 2", HALL)
        assert [(fact.room, fact.reach, fact.n) for fact in bot.facts(SanctionStarted)] == [(HALL, "G-HALL", 2)]


async def test_what_one_room_dismissed_binds_no_other(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, made("user", ANNA))
        await bot.say(MARK, "!dismiss 1 we know her")
        await hall(bot)
        await entries(bot, made("user", ANNA), trust="apply")
        assert opened(bot) == [ROOM, HALL]
        [ban] = bot.facts(SanctionStarted)
        assert (ban.room, ban.reach, ban.n) == (HALL, "G-HALL", 2)
