"""One person asks for an export, or anything else, again and again, or invites the bot into room after room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.commands.dispatcher import MOST_ASKED, MOST_EXPORTS
from bot.runtime.budget import Budget
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.ids import UserId
from tests.door.offline import ANNA, MARK, RULES, Offline, offline

BEN = UserId("@ben:example.org")


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path, RULES) as served:
        yield served


async def queued(bot: Offline, what: str) -> int:
    return len(await bot.rows(f"SELECT 1 FROM outbox WHERE action LIKE '%{what}%'"))


async def test_exports_beyond_the_daily_budget_are_refused_with_one_answer(bot: Offline) -> None:
    for _ in range(MOST_EXPORTS + 5):
        await bot.say(ANNA, "!mydata")
    assert (await queued(bot, '"do": "mydata"'), await queued(bot, "error.too-often")) == (MOST_EXPORTS, 1)
    await bot.say(MARK, "!mydata")
    assert await queued(bot, '"do": "mydata"') == MOST_EXPORTS + 1
    bot.time.ms += DAY_MS
    await bot.say(ANNA, "!mydata")
    assert await queued(bot, '"do": "mydata"') == MOST_EXPORTS + 2


async def test_commands_beyond_the_hourly_budget_are_not_answered(bot: Offline) -> None:
    for _ in range(MOST_ASKED + 5):
        await bot.say(ANNA, "!credit")
    assert await queued(bot, "error.too-often") == 1
    answers = len(await bot.rows("SELECT 1 FROM outbox"))
    await bot.say(ANNA, "!credit")
    assert len(await bot.rows("SELECT 1 FROM outbox")) == answers


async def test_a_manager_has_a_larger_command_budget(bot: Offline) -> None:
    for _ in range(MOST_ASKED + 5):
        await bot.say(MARK, "!credit")
    assert await queued(bot, "error.too-often") == 0


def test_a_budget_refills_gradually() -> None:
    budget = Budget(2)
    assert [budget.take(ANNA, now) for now in (0, 10, 20, 30)] == ["granted", "granted", "spent", "told"]
    assert budget.take(BEN, 30) == "granted"
    assert budget.free_at(ANNA) == HOUR_MS
    assert [budget.take(ANNA, HOUR_MS + now) for now in (0, 1, 10)] == ["granted", "spent", "granted"]
    assert budget.take(ANNA, HOUR_MS + 11, most=3) == "granted"
    assert [budget.take(ANNA, HOUR_MS + 12, most=3) for _ in range(2)] == ["spent", "told"]
