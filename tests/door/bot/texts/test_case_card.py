"""Managers read a card, and an answer when they decide."""

from pathlib import Path

from bot.texts.case_card import card_lines, read_card
from moderation.model.facts import CreditChanged
from tests.door.offline import ANNA, DESK, MARK, ROOM, Offline, offline

DAY = 86_400_000


async def violations_before(bot: Offline, n: int) -> object:
    async with bot.stores.database.read() as db:
        card = await read_card(db, n, bot.time())
    assert card is not None
    lines = card_lines(card, bot.pipeline.settings.policy, bot.time(), "!")
    return next(each.fields["before"] for each in lines if each.key == "card.who")


async def test_a_reversed_case_is_not_counted_as_an_earlier_violation(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(MARK, "!uphold 1", DESK)
        await bot.pass_time(2 * DAY)
        await bot.say(ANNA, "forbidden")
        assert await violations_before(bot, 2) == 1
        await bot.say(MARK, "!dismiss 1 a quotation", DESK)
        assert await violations_before(bot, 2) == 0


async def test_a_manager_who_lets_a_message_through_is_not_told_of_a_broken_rule(tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        low = CreditChanged(room=ROOM, entry="charge", cost=50, grade="serious", rule="tickets", left=50, subject=ANNA)
        await bot.pipeline.commit((low,))
        await bot.say(ANNA, "see https://elephants.example")
        await bot.say(MARK, "!dismiss 1", DESK)
        assert await bot.rows("SELECT 1 FROM outbox WHERE action LIKE '%decided.waited.dismissed%'") == [(1,)]
