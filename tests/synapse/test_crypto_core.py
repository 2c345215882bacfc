"""The core of encryption over a real homeserver, with nio's client as the other side.

What needs neither is in `tests/door/bot/crypto/test_crypto_core.py`; `tests/long/synapse/test_crypto_devices.py` has
several devices.
"""

# ruff: noqa: F811 - a fixture is imported, and given by its name

from bot.crypto.room_keys import Decrypted
from tests.door.bot.crypto.test_crypto_core import cast  # noqa: F401
from tests.people.crypto_people import CryptoStage


class TestWithAnotherClient:
    async def test_both_read_each_other(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await bot.say(room, "hello from the bot")
        assert (await ben.until(room, said)).body == "hello from the bot"
        answer = await ben.say(room, "hello from ben")
        read = await bot.until(answer)
        assert isinstance(read, Decrypted)
        assert (read.event["type"], read.event["sender"], read.event["content"]["body"], read.trust) == (
            "m.room.message",
            ben.user,
            "hello from ben",
            "unsigned",
        )

    async def test_a_restart_loses_nothing_and_shares_no_key_again(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        first = await bot.say(room, "one")
        await ben.until(room, first)
        unread = await ben.say(room, "while you were away")
        bot = await cast.restarted(bot)
        assert await bot.text(unread) == "while you were away"
        second = await bot.say(room, "two")
        assert (await ben.until(room, second)).session_id == (await ben.until(room, first)).session_id

    async def test_killed_between_what_came_and_the_token_it_reads_all_and_breaks_no_session(
        self, cast: CryptoStage
    ) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await ben.say(room, "secret")
        before = bot.token
        await bot.text(said)
        bot = await cast.restarted(bot)
        bot.token = before  # the journal had not got so far
        assert await bot.text(said) == "secret"
        assert sum(news.unreadable for news in bot.news) == 0
        bot = await cast.restarted(bot)
        bot.token = before
        await bot.hear(take=False)  # killed before the answer was looked at
        assert await bot.text(said) == "secret"
