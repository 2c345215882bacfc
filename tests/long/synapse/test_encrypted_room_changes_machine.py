"""An encrypted room goes on when the machine of its bot dies, and another one with the same keys takes over."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.crypto.room_keys import Decrypted
from bot.demo.synapse import SynapseAccount
from moderation.model.facts import NotRead
from moderation.values.ids import RoomId
from tests.long.synapse.test_one_device_on_two_machines import position
from tests.people.crypto_people import CryptoStage, EncryptedBot
from tests.people.sealed_members import ask_sealed, sealed_room
from tests.postgres.shared import Databases
from tests.theatre.scene import Theatre
from tests.theatre.served import HEAD, RULES, ServedBot, until
from tests.theatre.stage import Stage

DATABASE = '[database]\nurl = "{}"\n'


@pytest.fixture
async def cast(stage: Stage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide members who need no client program."""
    folder = tmp_path / "cast"
    folder.mkdir()
    async with CryptoStage(stage, folder) as made:
        yield made


def other_machine(bot: ServedBot, folder: Path, rules: str) -> ServedBot:
    """Return the bot on a machine that was given its keys and configuration, and nothing else."""
    account = SynapseAccount(bot.session.user, bot.session.device, bot.session.token)
    head = HEAD.format(url=bot.session.url, user=bot.user, bot="")
    other = ServedBot(account, bot.session.url, folder, head + rules, bot._clock)
    shutil.copytree(bot.data_dir / "keys", other.data_dir / "keys")
    return other


async def test_what_was_said_before_meanwhile_and_after_is_read_and_answered(
    theatre: Theatre, cast: CryptoStage, postgres_url: str, tmp_path: Path
) -> None:
    rules = RULES + DATABASE.format(postgres_url)
    bot, (owner,), ben = await theatre.bot(rules), await theatre.people("owner"), await cast.bot("ben")
    room = await sealed_room(theatre, bot, owner, ben)
    said = [await ben.say(room, "before")]
    await bot.has(said[0])
    answered = [await ask_sealed(ben, room, "!help credit", bot)]
    await bot.stop()

    program = bot.start_apart(rules)
    said.append(await ben.say(room, "while the first machine runs"))
    await bot.has(said[1])
    answered.append(await ask_sealed(ben, room, "!help credit", bot))
    program.kill()
    await asyncio.to_thread(program.wait)
    said.append(await ben.say(room, "a purple elephant, while nobody runs"))

    second = other_machine(bot, tmp_path / "second", rules)
    theatre.bots = [second]
    second.start()
    await second.has(*said)
    await until(lambda: owner.is_redacted(room, said[2]), "the message to go")
    answered.append(await ask_sealed(ben, room, "!help credit", second))
    said.append(await ben.say(room, "after"))
    await second.has(said[3])
    await second.idle()

    assert second.facts(NotRead) == []
    assert [second.recorded().count(event) for event in said] == [1, 1, 1, 1]
    bodies = {r.parts[0]["ev"]: r.parts[0].get("body") for r in second.records() if r.parts and "ev" in r.parts[0]}
    assert [bodies[event] for event in (*said[:2], said[3])] == ["before", "while the first machine runs", "after"]
    assert not [*second.data_dir.glob("crypto*"), *second.data_dir.glob("*.sqlite3")]
    await check_ratchets(ben, room, bot.user, len(answered))


async def check_ratchets(ben: EncryptedBot, room: RoomId, bot: str, at_least: int) -> None:
    """Check that all that the bot said is readable, of one device, and used no place of a ratchet twice."""
    page = await ben.homeserver.messages(room, from_token=None, direction="b", limit=500)
    theirs = [each for each in page["chunk"] if each["type"] == "m.room.encrypted" and each["sender"] == bot]
    there = [each for each in theirs if "ciphertext" in each["content"]]
    assert len(there) >= at_least
    assert len({each["content"]["device_id"] for each in there}) == 1
    assert Counter(map(position, there)).most_common(1)[0][1] == 1
    assert all([isinstance(await ben.machine.decrypt(each, room), Decrypted) for each in there])


async def test_a_database_that_went_back_is_noticed_and_nothing_is_said_with_its_keys(
    theatre: Theatre, cast: CryptoStage, postgres: Databases, postgres_url: str, tmp_path: Path
) -> None:
    rules = RULES + DATABASE.format(postgres_url)
    bot, (owner,), ben = await theatre.bot(rules), await theatre.people("owner"), await cast.bot("ben")
    room = await sealed_room(theatre, bot, owner, ben)
    await ask_sealed(ben, room, "!help credit", bot)
    await bot.stop()
    with postgres.new(template=urlsplit(postgres_url).path[1:]) as backup:
        bot.start()
        await bot.has(await ben.say(room, "later than the backup"))
        await ask_sealed(ben, room, "!help credit", bot)
        await bot.stop()
        before = await sealed_by(ben, room, bot.user)

        restored = other_machine(bot, tmp_path / "restored", RULES + DATABASE.format(backup))
        shutil.copytree(bot.data_dir, restored.data_dir, dirs_exist_ok=True)
        theatre.bots, theatre.expected = [restored], {"keys_old", "keys_lost"}
        restored.start()
        await theatre.until_logged("keys_old")
        await ben.say(room, "!help credit")
        await theatre.until_logged("keys_lost")
        await restored.stop()
        assert await sealed_by(ben, room, bot.user) == before


async def sealed_by(ben: EncryptedBot, room: RoomId, user: str) -> int:
    """Return how many events of somebody in a room are encrypted."""
    page = await ben.homeserver.messages(room, from_token=None, direction="b", limit=500)
    return sum(each["type"] == "m.room.encrypted" and each["sender"] == user for each in page["chunk"])
