"""The core of encryption and current clients, which give keys only to signed devices; without the rest of the bot."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.crypto.attachments import EncryptedFile, encrypt
from bot.crypto.cross_signing import CrossSigning, KeyState
from bot.crypto.encoding import Object
from bot.crypto.key_backup import KeyBackup
from bot.crypto.outbound import Recipients
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.sas import SasStage
from bot.crypto.set_up import recover, set_up
from bot.crypto.verifier import EmojiVerifier, Progress
from moderation.values.ids import EventId, RoomId
from tests.clients.encrypted_stage import EncryptedStage
from tests.clients.js_client import WITHHELD, JsClient
from tests.people.crypto_people import CryptoStage, EncryptedBot


@pytest.fixture
async def cast(encrypted_stage: EncryptedStage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide bots in addition to the people of `encrypted_stage`."""
    async with CryptoStage(encrypted_stage, tmp_path) as made:
        yield made


async def joined(bot: EncryptedBot, ann: JsClient) -> RoomId:
    """Create an encrypted room by Ann's client, with the bot in it."""
    room = await ann.create_room("r", invite=[bot.user])
    await bot.homeserver.join(room)
    await bot.machine.members_changed(room, await bot.members(room))
    await bot.hear()
    return room


async def test_a_signed_bot_reads_and_is_read_without_a_warning(
    cast: CryptoStage, encrypted_stage: EncryptedStage
) -> None:
    bot, ann = await cast.bot(), await encrypted_stage.person("ann")
    await CrossSigning(bot.machine).make_ready()
    room = await joined(bot, ann)
    await ann.wait_devices(bot.user, lambda found: [each.signed for each in found] == [True], what="signed")
    said = await ann.send_text(room, "hello bot")
    read = await bot.until(said)
    assert isinstance(read, Decrypted)
    assert (read.event["content"]["body"], read.trust, read.device) == ("hello bot", "signed", ann.device)
    seen = await ann.wait_readable(room, await bot.say(room, "hello ann"))
    assert (seen.body, seen.sender, seen.shield) == ("hello ann", bot.user, "none")


async def test_an_unsigned_bot_is_told_why_it_gets_no_key_and_gets_it_once_it_is_signed(
    cast: CryptoStage, encrypted_stage: EncryptedStage
) -> None:
    bot, ann = await cast.bot(), await encrypted_stage.person("ann")
    room = await joined(bot, ann)
    await ann.wait_devices(bot.user, lambda found: [each.signed for each in found] == [False], what="unsigned")
    said = await ann.send_text(room, "not for you")
    while not any(news.withheld for news in bot.news):
        await bot.hear(timeout_ms=1000)
    (sealed,) = await bot.machine.given_up(bot.machine.clock() + 1)
    assert (sealed.event, sealed.code) == (said, "m.unverified")
    await CrossSigning(bot.machine).make_ready()
    await ann.wait_devices(bot.user, lambda found: [each.signed for each in found] == [True], what="signed")
    assert await bot.text(await ann.send_text(room, "for you")) == "for you"


async def test_a_client_that_is_not_signed_is_answered_or_told_why_not(
    cast: CryptoStage, encrypted_stage: EncryptedStage
) -> None:
    bot = await cast.bot()
    strict = await cast.bot("strict", recipients=Recipients.SIGNED)
    for each in (bot, strict):
        await CrossSigning(each.machine).make_ready()
    ann = await encrypted_stage.person("ann", signed=False, isolation="all")
    rooms = [await joined(bot, ann), await joined(strict, ann)]
    assert (await ann.wait_readable(rooms[0], await bot.say(rooms[0], "hello"))).body == "hello"
    await ann.wait_unreadable(rooms[1], await strict.say(rooms[1], "hello"), WITHHELD)


async def test_files_go_both_ways(cast: CryptoStage, encrypted_stage: EncryptedStage) -> None:
    bot, ann = await cast.bot(), await encrypted_stage.person("ann")
    await CrossSigning(bot.machine).make_ready()
    room = await joined(bot, ann)
    await ann.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")
    data = bytes(range(256)) * 40
    read = await bot.until(await ann.send_image(room, data, "a cat.png"))
    assert isinstance(read, Decrypted)
    file = EncryptedFile.of(read.event["content"]["file"])
    assert file.open(await bot.homeserver.download(file.url)) == data
    sealed, mine = encrypt(data)
    url = await bot.homeserver.upload(sealed, "application/octet-stream", "file")
    content = {"msgtype": "m.file", "body": "file", "file": replace(mine, url=url).content()}
    seen = await ann.wait_readable(room, await bot.send(room, "m.room.message", content))
    assert await ann.download(seen) == data


class TestSecretsOfTheAccount:
    async def test_that_we_stored_let_a_client_sign_itself(
        self, cast: CryptoStage, encrypted_stage: EncryptedStage
    ) -> None:
        bot, ann = await cast.bot(), await encrypted_stage.person("ann")
        made = await set_up(bot.machine)
        account = JsClient(encrypted_stage.server.url, bot.user, "")
        account.recovery_key = made.recovery_key
        operator = await encrypted_stage.again(account)
        room = await joined(bot, ann)
        both = lambda found: [each.signed for each in found] == [True, True]  # noqa: E731
        await ann.wait_devices(bot.user, both, what="two that are signed")
        await bot.hear()
        said = await bot.say(room, "for the operator too")
        assert (await operator.wait_readable(room, said)).body == "for the operator too"

    async def test_that_a_client_stored_are_taken_up_by_us(
        self, cast: CryptoStage, encrypted_stage: EncryptedStage
    ) -> None:
        """The operator has used the bot's account with a client before: only its recovery key is needed."""
        operator, ann = await encrypted_stage.people("operator", "ann")
        bot = await cast.device_of(operator.user)
        assert (await CrossSigning(bot.machine).make_ready()).state is KeyState.LOCKED
        standing, _ = await recover(bot.machine, operator.recovery_key)
        assert standing.state is KeyState.READY
        room = await joined(bot, ann)
        await ann.wait_devices(bot.user, lambda found: all(each.signed for each in found), what="all signed")
        assert await bot.text(await ann.send_text(room, "hello")) == "hello"


class TestComparingEmoji:
    async def test_in_a_room_makes_each_known_to_the_other(
        self, cast: CryptoStage, encrypted_stage: EncryptedStage
    ) -> None:
        bot, ann = await cast.bot(), await encrypted_stage.person("ann")
        await CrossSigning(bot.machine).make_ready()
        room = await joined(bot, ann)
        await ann.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")
        verifier = EmojiVerifier(bot.machine, allowed=lambda user: user == ann.user, say=saying(bot))
        flow = await ann.request_verification(bot.user, room=room)
        heard = Ears(bot, verifier, room)
        await heard.until(SasStage.READY)
        await flow.begin()
        shown = (await heard.until(SasStage.SHOWN)).shown
        sas = await flow.sas()
        assert shown is not None
        assert [symbol for symbol, _ in shown.emoji] == [symbol for symbol, _ in sas.emoji]
        assert [name.replace("-", " ") for _, name in shown.emoji] == [name.lower() for _, name in sas.emoji]
        assert shown.numbers == sas.decimal
        assert await verifier.confirm(heard.last.id) is not None
        _, done = await asyncio.gather(flow.confirm(), heard.until(SasStage.DONE))
        trust = await ann.wait_trust(bot.user, lambda found: found.verified, what="verified")
        person = await bot.machine.person(ann.user)
        assert (trust.known, done.master) == (True, person.master)
        keys = await CrossSigning(bot.machine).private()
        assert keys is not None
        there = (await bot.machine.requests.query_keys([ann.user]))["master_keys"][ann.user]
        assert f"ed25519:{keys.user_signing.public}" in there["signatures"][bot.user]

    async def test_between_devices_ends_when_it_is_not_the_same(
        self, cast: CryptoStage, encrypted_stage: EncryptedStage
    ) -> None:
        bot, ann = await cast.bot(), await encrypted_stage.person("ann")
        await CrossSigning(bot.machine).make_ready()
        room = await joined(bot, ann)
        await ann.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")
        verifier = EmojiVerifier(bot.machine, allowed=lambda user: True, say=saying(bot))
        flow = await ann.request_verification(bot.user, device=bot.machine.device)
        heard = Ears(bot, verifier, room)
        await heard.until(SasStage.READY)
        await flow.begin()
        shown = (await heard.until(SasStage.SHOWN)).shown
        assert shown is not None and shown.numbers == (await flow.sas()).decimal
        ended = await verifier.refuse(heard.last.id, differs=True)
        assert ended is not None and (ended.stage, ended.code) == (SasStage.CANCELLED, "m.mismatched_sas")
        await flow.wait_phase("Cancelled")
        assert flow.code == "m.mismatched_sas"
        assert not (await ann.trust(bot.user)).verified

    async def test_somebody_who_may_not_ask_is_not_answered(
        self, cast: CryptoStage, encrypted_stage: EncryptedStage
    ) -> None:
        bot, ann = await cast.bot(), await encrypted_stage.person("ann")
        await CrossSigning(bot.machine).make_ready()
        room = await joined(bot, ann)
        await ann.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")
        verifier = EmojiVerifier(bot.machine, allowed=lambda user: False, say=saying(bot))
        flow = await ann.request_verification(bot.user, device=bot.machine.device)
        while not any(news.verification for news in bot.news):
            await bot.hear(timeout_ms=1000)
        asked = [message for news in bot.news for message in news.verification]
        assert [await verifier.to_device(message) for message in asked] == [None] * len(asked)
        assert (flow.phase, room != "") == ("Requested", True)


async def test_a_client_reads_the_history_that_the_bot_backed_up(
    cast: CryptoStage, encrypted_stage: EncryptedStage
) -> None:
    bot, ann = await cast.bot(), await encrypted_stage.person("ann")
    made = await set_up(bot.machine)
    room = await joined(bot, ann)
    await ann.wait_devices(bot.user, lambda found: any(each.signed for each in found), what="signed")
    said = await ann.send_text(room, "of old")
    await bot.text(said)
    await KeyBackup(bot.machine).upload()
    later = await cast.second(bot)
    raw = await later.homeserver.event(room, EventId(said))
    assert isinstance(await later.machine.decrypt(raw, room), Sealed)
    await recover(later.machine, made.recovery_key)
    read = await later.machine.decrypt(raw, room)
    assert isinstance(read, Decrypted) and read.event["content"]["body"] == "of old"


def saying(bot: EncryptedBot):  # type: ignore[no-untyped-def]
    """Return a function that sends messages of a verification to a room."""

    async def say(room: str, type: str, content: Object) -> None:
        await bot.send(RoomId(room), type, content)

    return say


class Ears:
    """Passes received messages to the verifier, and keeps its progress."""

    def __init__(self, bot: EncryptedBot, verifier: EmojiVerifier, room: RoomId) -> None:
        self.told: list[Progress] = []
        self._bot, self._verifier, self._room = bot, verifier, room
        self._heard: set[str] = set()
        self._news = len(bot.news)

    @property
    def last(self) -> Progress:
        return self.told[-1]

    async def until(self, stage: SasStage) -> Progress:
        """Listen until the verification is at this stage, and return its progress."""
        while not self.told or self.last.stage is not stage:
            await self._bot.hear(timeout_ms=1000)
            for news in self._bot.news[self._news :]:
                for message in news.verification:
                    self._note(await self._verifier.to_device(message))
            self._news = len(self._bot.news)
            while self._bot.clear:  # this client compares emoji in the clear
                room, event = self._bot.clear.pop(0)
                self._note(await self._verifier.in_room(room, event))
            for id, result in list(self._bot.heard.items()):
                if id not in self._heard and isinstance(result, Decrypted):
                    self._heard.add(id)
                    self._note(await self._verifier.in_room(self._room, result.event))
        return self.last

    def _note(self, progress: Progress | None) -> None:
        if progress is not None:
            self.told.append(progress)
