"""However many deadlines one look finds passed, what follows is what each by itself would have brought."""

from pathlib import Path

from moderation.facts import CreditChanged, SanctionStarted
from tests.bot.offline import ANNA, MARK, MINA, RULES, offline

DAY = 86_400_000
STANDING = """
[standing]
overdue = 5
overdue_daily = 0
overdue_at_most = 5
"""


async def test_each_charge_of_one_look_sees_those_before_it_and_the_demotion_comes(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + STANDING) as bot:
        for _ in range(13):
            await bot.say(ANNA, "forbidden")
            await bot.pass_time(11 * 60_000)  # another case each
        await bot.pass_time(DAY)
        bot.time.step = 1  # as a real clock does between reading and recording
        await bot.scheduler.do_what_is_due()
        charges = [fact.left for fact in bot.facts(CreditChanged) if fact.subject == MARK]
        assert charges == [100 - 5 * n for n in range(1, 14)]
        demoted = [fact.subject for fact in bot.facts(SanctionStarted) if fact.kind == "demote"]
        assert sorted(demoted) == [MARK, MINA]
