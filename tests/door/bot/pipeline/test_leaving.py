"""A person who was told of a case answers for it even after leaving; one who gives up the room for good does not."""

from pathlib import Path

import pytest

from moderation.model.facts import CaseLeft, CaseOpened, CreditChanged
from tests.door.offline import ANNA, BOT, DESK, MARK, MINA, OLGA, Offline, offline

DAY, HOUR = 86_400_000, 3_600_000
LEVELS = {OLGA: 100, BOT: 100, MARK: 50, MINA: 50}
WITHOUT_MARK = {user: level for user, level in LEVELS.items() if user != MARK}


def charged(bot: Offline) -> list[str]:
    return [fact.subject for fact in bot.facts(CreditChanged) if fact.subject == MARK]


async def told(bot: Offline, after: int) -> None:
    """Open a case, tell Mark and Mina about it, and let `after` ms of its day pass."""
    await bot.say(ANNA, "forbidden")
    await bot.post_cards()
    await bot.pass_time(after)
    await bot.scheduler.do_what_is_due()


async def time_is_over(bot: Offline) -> None:
    await bot.pass_time(DAY)
    await bot.scheduler.do_what_is_due()


@pytest.mark.parametrize("back", [False, True])
async def test_leaving_before_the_deadline_is_charged_with_or_without_return(tmp_path: Path, back: bool) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, DAY - 1000)
        await bot.membership(MARK, "leave")
        await time_is_over(bot)
        if back:
            await bot.membership(MARK, "join")
        assert charged(bot) == [MARK]


async def test_leaving_the_desk_changes_nothing(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, HOUR)
        await bot.membership(MARK, "leave", room=DESK)
        await time_is_over(bot)
        assert charged(bot) == [MARK]


async def test_resigning_early_and_for_good_is_not_charged(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, HOUR)
        await bot.membership(MARK, "leave")
        await time_is_over(bot)
        assert charged(bot) == []
        assert [(f.what, f.subject, f.by) for f in bot.facts(CaseLeft)] == [("gone", MARK, MARK), ("excused", MARK, "")]
        await bot.pass_time(31 * DAY)
        await bot.membership(MARK, "join")
        assert charged(bot) == []


async def test_returning_within_thirty_days_of_an_early_exit_is_charged_once(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, HOUR)
        await bot.membership(MARK, "leave")
        await time_is_over(bot)
        await bot.pass_time(20 * DAY)
        await bot.membership(MARK, "join")
        assert charged(bot) == [MARK]
        await bot.membership(MARK, "leave")
        await bot.membership(MARK, "join")
        assert [(f.about, f.subject) for f in bot.facts(CaseOpened) if f.about and f.subject == MARK] == [(1, MARK)]


async def test_a_level_taken_late_by_the_owner_is_charged_only_if_restored(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, DAY - 1000)
        await bot.levels(OLGA, WITHOUT_MARK)
        await time_is_over(bot)
        assert charged(bot) == []
        await bot.levels(OLGA, LEVELS)
        assert charged(bot) == [MARK]


async def test_giving_up_ones_own_level_late_is_charged(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await told(bot, DAY - 1000)
        await bot.levels(MARK, WITHOUT_MARK)
        await time_is_over(bot)
        assert charged(bot) == [MARK]


async def test_a_manager_away_before_the_case_is_not_charged(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(MARK, "!away 3d", DESK)
        await told(bot, DAY - 1000)
        await bot.membership(MARK, "leave")
        await time_is_over(bot)
        await bot.membership(MARK, "join")
        assert charged(bot) == []
