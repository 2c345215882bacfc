"""`!list`: which policy lists count here, what they say about somebody, and whom they no longer touch."""

import json
from pathlib import Path

from moderation.model.facts import (
    AccountsLinked,
    CaseOpened,
    ListSpared,
    RecordsPurged,
    SanctionEnded,
    SanctionStarted,
)
from moderation.values.ids import GroupCode, RoomId, UserId
from tests.door.lists import entries
from tests.door.offline import ANNA, DESK, LEVELS, MARK, MINA, OLGA, ROOM, Offline, offline
from tests.unit.moderation.lists.made import made

OPERA = UserId("@opera:example.org")
NAMED = made("user", ANNA)
OTHERS = tuple(made("user", f"@spam{n}:bad.example", key=f"spam{n}") for n in range(12))


async def answer(bot: Offline, words: str, room: RoomId = DESK) -> dict[str, dict[str, object]]:
    """Say a command as Mark, and return the lines of the answer, by key."""
    await bot.say(MARK, words, room)
    said = "SELECT action FROM outbox WHERE action LIKE '%policy-list%' OR action LIKE '%error.list%' ORDER BY id"
    last = json.loads((await bot.rows(said))[-1][0])
    return {line["key"]: line["fields"] for line in last["lines"]}


async def test_it_names_the_lists_with_their_figures(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        assert "policy-list.none" in await answer(bot, "!list")
        await entries(bot, NAMED, *OTHERS)
        shown = (await answer(bot, "!list"))["policy-list.one"]
        assert (shown["list"], shown["entries"], shown["cases"], shown["waiting"]) == ("cme", 13, 1, 1)


async def test_it_says_what_a_list_says_about_somebody_here(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED)
        found = await answer(bot, f"!list match {ANNA}")
        assert {"policy-list.entry.ban", "policy-list.follows.propose"} <= set(found)
        assert "policy-list.unnamed" in await answer(bot, f"!list match {MINA}")


async def test_of_strangers_it_says_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, *OTHERS)
        await bot.say(MARK, "!list match @spam1:bad.example", DESK)
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%error.target.not-here%'")


async def test_a_search_finds_what_an_entry_says(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED, *OTHERS)
        found = await answer(bot, "!list search @SPAM")
        assert (found["policy-list.found"]["count"], found["policy-list.more"]["count"]) == (12, 2)
        assert "policy-list.nothing" in await answer(bot, "!list search eggs")
        assert "error.list.search" in await answer(bot, "!list search x")


async def test_a_spared_person_is_let_in_again_and_touched_no_more(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED, trust="apply")
        [ban] = bot.facts(SanctionStarted)
        assert "error.list.reason" in await answer(bot, f"!list spare {ANNA}")
        assert "policy-list.spared" in await answer(bot, f"!list spare {ANNA} we know her")
        assert [(end.n, end.why) for end in bot.facts(SanctionEnded)] == [(ban.n, "command")]
        await bot.membership(ANNA, "leave")
        await bot.membership(ANNA, "join")
        await entries(bot, NAMED, *OTHERS, trust="apply")
        assert len(bot.facts(SanctionStarted)) == 1
        assert "policy-list.spared-by-command" in await answer(bot, f"!list match {ANNA}")
        assert "error.list.spared" in await answer(bot, f"!list spare {ANNA} again")
        assert "policy-list.unspared" in await answer(bot, f"!list unspare {ANNA}")
        await entries(bot, NAMED, trust="apply")
        assert len(bot.facts(SanctionStarted)) == 2


async def test_an_unban_of_a_ban_by_a_list_spares_too(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED, trust="apply")
        await bot.say(MARK, f"!unban {ANNA}", DESK)
        await bot.membership(ANNA, "leave")
        await bot.membership(ANNA, "join")
        assert len(bot.facts(SanctionStarted)) == len(bot.facts(SanctionEnded)) == 1
        await bot.say(MARK, f"!ban {ANNA} noise", DESK)
        await bot.say(MARK, f"!unban {ANNA}", DESK)
        assert [(fact.list, fact.step) for fact in bot.facts(ListSpared)] == [("cme", "spared")]


async def test_a_waiting_case_and_one_that_people_decided_are_named(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED)
        assert (await answer(bot, f"!list spare {ANNA} we know her"))["policy-list.waits"]["n"] == 1
        await bot.say(MARK, "!uphold 1", DESK)
        assert "policy-list.unspared" in await answer(bot, f"!list unspare {ANNA}")
        assert "policy-list.decided" in await answer(bot, f"!list spare {ANNA} we know her")
        assert bot.facts(SanctionEnded) == []


async def test_a_dismissed_case_spares_until_somebody_takes_that_back(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED)
        await bot.say(MARK, "!dismiss 1 we know her", DESK)
        [spared] = bot.facts(ListSpared)
        assert (spared.list, spared.n, spared.step, spared.by) == ("cme", 1, "spared", MARK)
        assert (await answer(bot, f"!list match {ANNA}"))["policy-list.spared-by-case"]["n"] == 1
        assert "error.list.spared" in await answer(bot, f"!list spare {ANNA} once more")
        assert "policy-list.unspared" in await answer(bot, f"!list unspare {ANNA}")
        await entries(bot, NAMED, *OTHERS)
        assert [fact.n for fact in bot.facts(CaseOpened)] == [1, 2]


async def test_a_dismissed_case_spares_when_it_is_long_gone(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED)
        await bot.say(MARK, "!dismiss 1 we know her", DESK)
        await bot.pipeline.commit((RecordsPurged(below=bot.stores.journal.size, what="command"),))
        assert await bot.rows("SELECT 1 FROM cases") == []
        await entries(bot, NAMED, *OTHERS)
        assert [fact.n for fact in bot.facts(CaseOpened)] == [1]


async def test_a_reversal_on_appeal_spares(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED, trust="apply")
        await bot.say(ANNA, "!appeal 1 that is somebody else", await bot.direct(ANNA))
        await bot.say(MARK, "!dismiss 1 it is", DESK)
        assert [(end.n, end.why) for end in bot.facts(SanctionEnded)] == [(1, "reversed")]
        await entries(bot, NAMED, *OTHERS, trust="apply")
        assert [(fact.list, fact.n) for fact in bot.facts(ListSpared)] == [("cme", 1)]
        assert len(bot.facts(SanctionStarted)) == 1


async def test_who_upholds_what_was_dismissed_lets_the_list_touch_them_again(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, NAMED)
        await bot.say(MARK, "!dismiss 1 we know her", DESK)
        await bot.say(MARK, "!uphold 1 it was her after all", DESK)
        assert [fact.step for fact in bot.facts(ListSpared)] == ["spared", "unspared"]
        assert [fact.basis for fact in bot.facts(SanctionStarted)] == ["decision"]
        assert await bot.rows("SELECT 1 FROM list_spared") == []


async def test_sparing_binds_no_other_community(tmp_path: Path) -> None:
    hall = RoomId("!hall:example.org")
    async with offline(tmp_path, "") as bot:
        await bot.enter_room(hall, GroupCode("G-HALL"), "group", LEVELS, "11", (OLGA, ANNA))
        await entries(bot)
        await bot.say(MARK, f"!list spare {ANNA} we know her")
        await entries(bot, NAMED, trust="apply")
        assert [fact.room for fact in bot.facts(SanctionStarted)] == [hall]
        assert [(fact.room, fact.reach) for fact in bot.facts(ListSpared)] == [(ROOM, "G-7F3K")]


async def test_no_manager_undoes_what_an_operator_says(tmp_path: Path) -> None:
    async with offline(tmp_path, f'operators = ["{OPERA}"]\n') as bot:
        await entries(bot, NAMED)
        await bot.say(OPERA, f"!list spare {ANNA} G-7F3K we know her", await bot.direct(OPERA))
        assert "error.list.operators" in await answer(bot, f"!list unspare {ANNA}")
        assert "policy-list.spared-by-command" in await answer(bot, f"!list match {ANNA}")
        await bot.say(OPERA, f"!list unspare {ANNA} G-7F3K", await bot.direct(OPERA))
        assert "policy-list.spared-by-command" not in await answer(bot, f"!list match {ANNA}")


async def test_a_link_of_accounts_spares_the_other_one_too(tmp_path: Path) -> None:
    other = UserId("@ann:elsewhere.example")
    async with offline(tmp_path, "") as bot:
        await bot.membership(other, "join")
        await entries(bot)
        await bot.say(MARK, f"!list spare {ANNA} we know her")
        await bot.pipeline.commit((AccountsLinked(method="confirmed", subject=ANNA, target=other),))
        await entries(bot, made("user", other), trust="apply")
        assert bot.facts(SanctionStarted) == []


async def test_members_read_which_lists_may_ban_them(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await entries(bot, trust="look")
        await bot.say(ANNA, "!status")
        await bot.say(ANNA, "!rules")
        said = [row for (row,) in await bot.rows("SELECT action FROM outbox ORDER BY id")]
        assert ("status.protects.lists" in said[-2], "rules.lists" in said[-1]) == (True, False)
        await entries(bot, trust="propose")
        await bot.say(ANNA, "!rules")
        assert "rules.lists" in (await bot.rows("SELECT action FROM outbox ORDER BY id"))[-1][0]
