"""Rules spare people by what the tables know of them, whether it was counted along or read again."""

from pathlib import Path
from random import Random

from bot import startup
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.pipeline import Pipeline
from moderation.model.facts import CaseOpened, Found
from moderation.rules.unless import MOST_MESSAGES
from storage import queries
from tests.door.offline import ANNA, BOT, MARK, ROOM, Offline, offline

SPARING = """
[[rules]]
name = "links"
kind = "terms"
measure = "redact"
terms = ["forbidden"]
unless = { messages = 3 }
"""


async def counted(bot: Offline) -> tuple[int, int]:
    """Return how many messages of Anna stand: as counted along, and as read from the tables."""
    along = bot.pipeline.knowledge.standing._counts[(ROOM, ANNA)]
    async with bot.stores.database.read() as db:
        return along, await queries.messages_standing(db, ROOM, ANNA, bot.stores.journal.size, MOST_MESSAGES)


async def test_a_rule_spares_people_whose_messages_stand_and_not_for_those_it_removed(tmp_path: Path) -> None:
    async with offline(tmp_path, SPARING) as bot:
        for _ in range(5):
            await bot.say(ANNA, "forbidden")  # removed each time: that is no way to be spared
        assert len(bot.facts(Found)) == 5
        for _ in range(3):
            await bot.say(ANNA, "hello")
        await bot.say(ANNA, "forbidden")
        assert len(bot.facts(Found)) == 5
        await bot.say(MARK, "forbidden")
        assert [each.subject for each in bot.facts(Found)][5:] == [MARK]
        assert await counted(bot) == (4, 4)


async def test_a_message_removed_later_no_longer_counts(tmp_path: Path) -> None:
    async with offline(tmp_path, SPARING) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(ANNA, "hello")
        said = await bot.event(ANNA, "m.room.message", {"msgtype": "m.text", "body": "hm"})
        assert await counted(bot) == (2, 2)
        reply = {"m.relates_to": {"m.in_reply_to": {"event_id": said}}}
        await bot.event(MARK, "m.room.message", {"msgtype": "m.text", "body": "!redact rude", **reply})
        await bot.say(ANNA, "hello")
        assert await counted(bot) == (2, 2)


async def test_what_was_swept_no_longer_counts(tmp_path: Path) -> None:
    async with offline(tmp_path, SPARING) as bot:
        for _ in range(3):
            await bot.say(ANNA, "hello")
        await bot.say(ANNA, "forbidden")  # spared
        assert await counted(bot) == (4, 4)
        await bot.say(MARK, f"!redact {ANNA} 24h enough of it")
        await bot.say(ANNA, "forbidden")
        assert await counted(bot) == (0, 0)
        assert len(bot.facts(Found)) == 1


async def test_counting_along_and_reading_again_agree_over_many_messages_and_starts(tmp_path: Path) -> None:
    async with offline(tmp_path, SPARING.replace("3", "6")) as bot:
        random = Random(7)
        for _ in range(40):
            await bot.say(random.choice((ANNA, MARK)), random.choice(("forbidden", "hello")))
            if random.random() < 0.2:
                bot.pipeline = await again(bot)
        along, read = await counted(bot)
        assert along == read
        removed = {case.event for case in bot.facts(CaseOpened) if case.subject == ANNA}
        assert removed


async def again(bot: Offline) -> Pipeline:
    """Return a pipeline as after a start, which has counted nothing yet."""
    return await startup.caught_up(bot.config, BOT, bot.stores, bot.time, PlainReader())
