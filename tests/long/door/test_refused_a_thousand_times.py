"""Somebody sends one message after the other that is refused before its delivery: it costs them, and nobody else.

An attack that gets nowhere: they would drown the desk in cards, the people who run the room in words, or the log in
statements. Writing refusals into the policy server's database takes the bot's own account (docs/threat-model.md).
"""

from collections import Counter
from pathlib import Path

from moderation.model.facts import CaseGrew, CaseOpened, CreditChanged, MessageWithheld, SanctionStarted, StatementGiven
from tests.door.bot.pipeline.test_withheld import RULES, withheld
from tests.door.offline import ANNA, offline

MANY = 1_000


async def test_a_thousand_refused_messages_are_one_case_and_few_words(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        for start in range(0, MANY, 100):
            some = [withheld(bot, f"buy now {number}") for number in range(start, start + 100)]
            assert await bot.pipeline.withholding.take(some, read_to=start + 100) == 100
        assert len(bot.facts(MessageWithheld)) == MANY
        assert (len(bot.facts(CaseOpened)), len(bot.facts(CaseGrew))) == (1, MANY - 1)
        assert (len(bot.facts(CreditChanged)), len(bot.facts(StatementGiven))) == (1, 1)
        assert Counter(fact.kind for fact in bot.facts(SanctionStarted)) == {"withhold": MANY, "mute": 1}
        waiting = Counter(row.action.NAME for row in await bot.waiting())
        assert waiting["card"] == 1 and waiting["tell"] == 1
        assert waiting["edit-card"] <= 1
        assert sum(waiting.values()) < 10


async def test_what_several_people_send_is_a_case_each(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES) as bot:
        senders = [ANNA, *(type(ANNA)(f"@spam{number}:example.org") for number in range(3))]
        for each in senders:
            await bot.membership(each, "join")
        await bot.pipeline.withholding.take([withheld(bot, sender=each) for _ in range(20) for each in senders])
        assert Counter(fact.subject for fact in bot.facts(CaseOpened)) == Counter(senders)
