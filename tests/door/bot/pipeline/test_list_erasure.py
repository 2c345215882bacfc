"""The words of a policy list about somebody go with their record; sparing stays while it holds."""

from pathlib import Path

from moderation.model.facts import ListMatched, ListSpared, PartsErased, RecordsPurged
from tests.door.lists import entries
from tests.door.offline import ANNA, MARK, Offline, offline
from tests.unit.moderation.lists.made import made

TABLES = ("list_matches", "list_spared")


async def told_of(bot: Offline) -> set[str]:
    """Return the tables that name Anna."""
    return {table for table in TABLES if ANNA in str(await bot.rows(f"SELECT * FROM {table}"))}


async def history(bot: Offline) -> None:
    await entries(bot, made("user", ANNA))
    await bot.say(MARK, f"!list spare {ANNA} we know her")


async def test_an_erased_record_is_erased_from_the_tables(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await history(bot)
        for kind in (ListMatched, ListSpared):
            [(index, _)] = bot.recorded(kind)
            await bot.pipeline.commit((PartsErased(parts=1, what="operator", records=str(index)),))
        assert await told_of(bot) == set()


async def test_a_manager_who_is_erased_leaves_the_sparing(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await history(bot)
        [(index, _)] = bot.recorded(ListSpared)
        await bot.pipeline.commit((PartsErased(parts=1, what="operator", records=f"1:{index}"),))
        assert "list_spared" in await told_of(bot)


async def test_a_purge_takes_the_matches_of_cases_that_are_over_and_keeps_the_sparing(tmp_path: Path) -> None:
    async with offline(tmp_path, "") as bot:
        await history(bot)
        await bot.pipeline.commit((RecordsPurged(what="schedule", below=bot.stores.journal.size),))
        assert await told_of(bot) == {*TABLES}, "the case waits"
        await bot.say(MARK, "!dismiss 1 we know her")
        await bot.pipeline.commit((RecordsPurged(what="schedule", below=bot.stores.journal.size),))
        assert await told_of(bot) == {"list_spared"}
