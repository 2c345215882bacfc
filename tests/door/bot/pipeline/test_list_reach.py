"""What the people of a room decide about an entry of a policy list counts as far as their word reaches."""

from functools import partial
from pathlib import Path

from bot.sync.policy_lists import PolicyLists
from moderation.lists.entries import Entry
from moderation.model.facts import CaseOpened, ListChosen, SanctionStarted
from moderation.policy import Trust
from moderation.values.ids import GroupCode, RoomId, UserId
from storage import queries
from storage.state.list_entries import change_entries
from tests.door.offline import ANNA, LEVELS, MARK, OLGA, ROOM, Offline, offline
from tests.unit.moderation.lists.made import made

LIST, HALL = RoomId("!bans:lists.example"), RoomId("!hall:example.org")
CAROL = UserId("@carol:example.org")
HALLS = {"users": {**LEVELS["users"], str(CAROL): 50}}


async def entries(bot: Offline, *said: Entry, trust: Trust = "propose") -> None:
    """Let the list `cme` say this, and let it take effect."""
    chosen = ListChosen(step="watched", list="cme", trust=trust, list_room=LIST)
    async with bot.stores.database.read() as db:
        before = (await queries.list_entries(db)).get(LIST, ())
    await bot.pipeline.commit((chosen,), also=partial(change_entries, room=LIST, gone=before, added=said))
    await PolicyLists(bot.services(None)).compile()


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
