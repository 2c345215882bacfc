"""Erasing a person leaves the same tables as a rebuild from the records."""

import asyncio
from pathlib import Path

from bot import app
from bot.admin.request import Request
from bot.cli.logs.tables import differences
from tests.door.offline import ANNA, RULES, offline

ELEPHANTS = """
[[rules]]
name = "elephants"
kind = "terms"
class = "moderate"
terms = ["elephant"]
"""


async def test_the_database_agrees_with_the_records_after_an_erasure(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + ELEPHANTS) as bot:
        for words in ("an elephant", "another elephant", "forbidden"):  # they open cases, and one of them grows
            await bot.say(ANNA, words)
        await bot.membership(ANNA, "leave")
        operations = app.make_operations(bot.config, bot.stores, bot.pipeline, bot.time)
        bot.time.ms += 400 * 86_400_000  # nothing that was charged counts any more
        done = await operations.by_name()["erase"](Request({"person": ANNA}, "root"))
        assert (done["parts"] > 0, done["kept"]) == (True, [])
        assert await bot.rows("SELECT * FROM evidence") == []
        place = bot.config.place
    assert await asyncio.to_thread(differences, place, None) == []
