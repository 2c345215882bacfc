"""The core of encryption on Synapse, with several devices of a person or of the bot."""

# ruff: noqa: F811 - a fixture is imported, and given by its name

from bot.crypto.cross_signing import CrossSigning, KeyState
from bot.crypto.outbound import Recipients
from bot.crypto.room_keys import Decrypted, Sealed
from bot.matrix.http import Ask
from moderation.values.ids import EventId
from tests.door.bot.crypto.test_crypto_core import cast  # noqa: F401
from tests.people.crypto_people import CryptoStage


class TestSeveralDevices:
    async def test_every_device_of_a_person_gets_the_key(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        phone = await cast.second(ben)
        room = await cast.room(bot, ben, phone)
        said = await bot.say(room, "to all")
        assert [await each.text(said) for each in (ben, phone)] == ["to all"] * 2
        laptop = await cast.second(ben)
        await bot.hear()  # of the new device
        later = await bot.say(room, "to the new one too")
        assert [await each.text(later) for each in (ben, phone, laptop)] == ["to the new one too"] * 3
        assert isinstance(await laptop.until(said, sealed=True), Sealed)

    async def test_with_signed_devices_only_a_third_one_that_is_signed_reads_and_the_others_do_not(
        self, cast: CryptoStage
    ) -> None:
        bot, ben = await cast.bot(recipients=Recipients.SIGNED), await cast.bot("ben")
        phone, laptop = await cast.second(ben), await cast.second(ben)
        await CrossSigning(laptop.machine).make_ready()
        room = await cast.room(bot, ben, phone, laptop)
        said = await bot.say(room, "for the laptop")
        assert await laptop.text(said) == "for the laptop"
        for each in (ben, phone):
            sealed = await each.until(said, sealed=True)
            assert isinstance(sealed, Sealed) and sealed.code == "m.unverified"

    async def test_our_other_signed_device_is_asked_and_answers(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        await CrossSigning(bot.machine).make_ready()
        said = await ben.say(room, "before the second device came")
        await bot.text(said)
        keys = await CrossSigning(bot.machine).private()
        assert keys is not None
        second = await cast.second(bot)
        assert (await CrossSigning(second.machine).adopt(keys)).state is KeyState.READY
        raw = await second.homeserver.event(room, EventId(said))
        assert isinstance(await second.machine.decrypt(raw, room), Sealed)
        await bot.hear()
        assert await second.machine.request_key(raw, room)
        assert not await second.machine.request_key(raw, room)
        await bot.hear(timeout_ms=1000)
        read = await second.until(said)
        assert isinstance(read, Decrypted) and read.trust == "handed-on"

    async def test_is_replaced_by_a_new_device_which_others_write_to(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await ben.say(room, "before")
        await bot.text(said)
        await bot.homeserver.wire.ask(Ask(method="POST", segments=("logout",), json={}))
        new = await cast.second(bot)
        await ben.hear()
        later = await ben.say(room, "after")
        assert await new.text(later) == "after"
        assert isinstance(await new.machine.decrypt(await new.homeserver.event(room, EventId(said)), room), Sealed)
