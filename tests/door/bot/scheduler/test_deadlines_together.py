"""However many deadlines have passed at one look, the consequences are those of each deadline on its own."""

from pathlib import Path
from typing import Any

import pytest

from moderation.model.facts import CaseOpened, CreditChanged, SanctionStarted
from tests.door.offline import ANNA, MARK, MINA, RULES, Offline, offline

DAY, OFTEN = 86_400_000, 11 * 60_000
STANDING = """
[standing]
overdue = 5
overdue_daily = 0
overdue_at_most = 5
overdue_a_day = 0
"""


async def cases(bot: Offline, count: int) -> None:
    """Open `count` waiting cases, one every eleven minutes."""
    for number in range(count):
        if number:
            await bot.pass_time(OFTEN)
        await bot.say(ANNA, "forbidden")
        await bot.post_cards()


def brought(bot: Offline) -> dict[str, list[Any]]:
    """Return the consequences for the managers, without the times."""
    managers = (MARK, MINA)
    charges = [(f.n, f.cost, f.left, f.subject) for f in bot.facts(CreditChanged) if f.subject in managers]
    started = [(f.kind, f.n, f.credit, f.subject) for f in bot.facts(SanctionStarted) if f.subject in managers]
    neglect = [(f.n, f.about, f.subject) for f in bot.facts(CaseOpened) if f.subject in managers]
    return {"charges": charges, "started": started, "neglect": neglect}


@pytest.mark.parametrize("count", [2, 13, 51])  # some, too many for a manager, more than one turn takes
async def test_many_deadlines_in_one_pass_have_the_same_effect_as_one_by_one(tmp_path: Path, count: int) -> None:
    (tmp_path / "together").mkdir()
    (tmp_path / "apart").mkdir()
    async with offline(tmp_path / "together", RULES + STANDING) as bot:
        await cases(bot, count)
        await bot.pass_time(DAY)
        bot.time.step = 1  # as a real clock does between reading and recording
        while await bot.scheduler.do_what_is_due():
            pass
        together = brought(bot)
    async with offline(tmp_path / "apart", RULES + STANDING) as bot:
        await cases(bot, count)
        await bot.pass_time(DAY - (count - 1) * OFTEN)
        for _ in range(count):
            await bot.scheduler.do_what_is_due()
            await bot.pass_time(OFTEN)
        apart = brought(bot)
    assert together == apart
    left = [fact[2] for fact in together["charges"] if fact[3] == MARK]
    assert left == [max(0, 100 - 5 * n) for n in range(1, len(left) + 1)]
    demoted = [fact[3] for fact in together["started"] if fact[0] == "demote"]
    assert sorted(demoted) == ([MARK, MINA] if count >= 13 else [])
