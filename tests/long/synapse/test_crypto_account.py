"""An account's keys for encryption: created, lost, replaced and recovered over a real homeserver."""

import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from bot.crypto import set_up as setting_up
from bot.crypto.cross_signing import CrossSigning, KeyState, PrivateKeys
from bot.crypto.encoding import unb64
from bot.crypto.errors import NeedsPassword, NotOurs, NotTrusted, WrongKey
from bot.crypto.key_backup import BackupState, KeyBackup, Restored
from bot.crypto.machine import SyncPart
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.secret_storage import SecretStorage
from bot.crypto.set_up import recover, set_up
from bot.crypto.signing import is_signed, signature_in
from bot.matrix.errors import Rejected
from bot.matrix.http import Ask
from bot.matrix.login import log_in_with_password
from moderation.values.ids import EventId
from tests.people.crypto_people import CryptoStage, EncryptedBot
from tests.theatre.stage import PASSWORD, Stage


@pytest.fixture
async def cast(stage: Stage, tmp_path: Path) -> AsyncIterator[CryptoStage]:
    """Provide bots and persons."""
    async with CryptoStage(stage, tmp_path) as made:
        yield made


async def published(bot: EncryptedBot, user: str = "") -> dict[str, Any]:
    """Return the answer that anybody gets who asks for the keys of a user."""
    return await bot.machine.requests.query_keys([user or bot.user])


class TestKeysOfTheAccount:
    async def test_are_made_once_and_sign_the_device(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        signing = CrossSigning(bot.machine)
        assert (await signing.examine()).state is KeyState.ABSENT
        made = await signing.make_ready()
        assert (made.state, made.ours) == (KeyState.READY, made.there)
        there = await published(bot)
        key = next(iter(there["self_signing_keys"][bot.user]["keys"].values()))
        device = there["device_keys"][bot.user][bot.machine.device]
        assert is_signed(device, bot.user, key, key)
        assert is_signed(there["self_signing_keys"][bot.user], bot.user, made.ours, made.ours)
        again = await cast.restarted(bot)
        assert await CrossSigning(again.machine).make_ready() == made
        assert (await published(bot))["master_keys"] == there["master_keys"]

    async def test_are_not_made_again_before_their_upload(self, cast: CryptoStage) -> None:
        """This is as after a crash between creating and uploading them."""
        bot = await cast.bot()
        keys = PrivateKeys.new()
        await bot.machine.store.run(lambda db: bot.machine.store.put_secret(db, "cross_signing", keys.seeds))
        assert (await CrossSigning(bot.machine).make_ready()).there == keys.master.public

    async def test_are_replaced_only_with_the_password(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        signing = CrossSigning(bot.machine)
        before = await signing.make_ready()
        with pytest.raises(NeedsPassword) as asked:
            await signing.reset()
        assert ("m.login.password",) in asked.value.stages
        with pytest.raises(Rejected) as refused:
            await signing.reset("not the password")
        assert "not the password" not in str(refused.value)
        assert await signing.examine() == before
        after = await signing.reset(PASSWORD)
        assert (after.state, after.ours != before.ours) == (KeyState.READY, True)

    async def test_that_somebody_replaced_are_told_and_left_alone(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        mine = await CrossSigning(bot.machine).make_ready()
        thief = await cast.second(bot)
        theirs = await CrossSigning(thief.machine).reset(PASSWORD)
        await bot.hear()
        for standing in (await CrossSigning(bot.machine).examine(), await CrossSigning(bot.machine).make_ready()):
            assert (standing.state, standing.ours, standing.there) == (KeyState.REPLACED, mine.ours, theirs.ours)

    async def test_of_a_reset_that_was_cut_short_are_ours(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        signing, store = CrossSigning(bot.machine), bot.machine.store
        await signing.make_ready()
        old = await store.run(lambda db: store.secret(db, "cross_signing"))
        assert old is not None
        after = await signing.reset(PASSWORD)
        new = await store.run(lambda db: store.secret(db, "cross_signing"))
        assert new is not None
        await store.run(lambda db: store.put_secret(db, "cross_signing", old))
        await store.run(lambda db: store.put_secret(db, "cross_signing.pending", new))
        assert await signing.examine() == after

    async def test_of_another_person_are_signed_when_they_were_compared(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        await CrossSigning(bot.machine).make_ready()
        theirs = await CrossSigning(ben.machine).make_ready()
        await cast.room(bot, ben)
        with pytest.raises(NotTrusted):
            await CrossSigning(bot.machine).sign_user(ben.user, "A" * 43)
        await CrossSigning(bot.machine).sign_user(ben.user, theirs.ours)
        keys = await CrossSigning(bot.machine).private()
        assert keys is not None
        master = (await published(bot, ben.user))["master_keys"][ben.user]
        assert is_signed(master, bot.user, keys.user_signing.public, keys.user_signing.public)
        assert signature_in((await published(ben))["master_keys"][ben.user], bot.user, keys.user_signing.public) is None

    async def test_of_another_person_that_change_are_told_once(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.bot("ben")
        first = await CrossSigning(ben.machine).make_ready()
        room = await cast.room(bot, ben)
        await bot.say(room, "hello")
        second = await CrossSigning(ben.machine).reset(PASSWORD)
        raw = await bot.homeserver.sync(bot.token, timeout_ms=5000)
        lists = {"device_lists": raw.get("device_lists", {})}
        await bot.machine.receive(SyncPart.of((), lists))
        (changed,) = await bot.machine.tend()
        assert (changed.user, changed.first_master, changed.master) == (ben.user, first.ours, second.ours)
        assert await bot.machine.tend() == ()


async def test_a_device_that_was_logged_out_and_in_again_with_its_store_is_known_again(cast: CryptoStage) -> None:
    bot, ben = await cast.bot(), await cast.bot("ben")
    await CrossSigning(bot.machine).make_ready()
    await bot.homeserver.wire.ask(Ask(method="POST", segments=("logout",), json={}))
    url, device = cast.stage.server.url, bot.machine.device
    session = await log_in_with_password(url, bot.user, PASSWORD, "again", device)
    again = await cast.device(cast.stage.port(session), bot.folder.name)
    assert (await CrossSigning(again.machine).make_ready()).state is KeyState.READY
    room = await cast.room(again, ben)
    assert await again.text(await ben.say(room, "hello")) == "hello"


class TestGettingItBack:
    async def test_a_new_device_with_the_recovery_key_is_signed_and_reads_what_was_said(
        self, cast: CryptoStage
    ) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        made = await set_up(bot.machine)
        said = await ben.say(room, "of old")
        await bot.text(said)
        assert await KeyBackup(bot.machine).upload() == 1
        assert made.recovery_key not in repr(made)
        new = await cast.second(bot)
        assert (await CrossSigning(new.machine).make_ready()).state is KeyState.LOCKED
        standing, restored = await recover(new.machine, made.recovery_key)
        assert (standing, restored) == (made.standing, Restored(1, 0, 0))
        read = await new.machine.decrypt(await new.homeserver.event(room, EventId(said)), room)
        assert isinstance(read, Decrypted)
        assert (read.event["content"]["body"], read.trust) == ("of old", "handed-on")

    async def test_a_wrong_recovery_key_is_refused(self, cast: CryptoStage) -> None:
        bot, other = await cast.bot(), await cast.bot("other")
        await set_up(bot.machine)
        wrong = (await set_up(other.machine)).recovery_key
        for words in (wrong, "", "a passphrase"):
            with pytest.raises(WrongKey):
                await recover(bot.machine, words)

    async def test_without_secret_storage_there_is_nothing_to_recover(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        with pytest.raises(WrongKey, match="no secret storage"):
            await recover(bot.machine, "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d")

    async def test_setting_up_does_not_touch_keys_that_are_not_ours(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        await set_up(bot.machine)
        new = await cast.second(bot)
        before = await published(bot)
        with pytest.raises(NotOurs, match="locked"):
            await set_up(new.machine)
        assert (await published(bot))["master_keys"] == before["master_keys"]

    async def test_a_holder_of_the_keys_can_make_a_new_recovery_key(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        first = await set_up(bot.machine)
        second = await set_up(bot.machine)
        assert (first.standing, first.recovery_key != second.recovery_key) == (second.standing, True)
        assert (await recover(bot.machine, second.recovery_key))[0].state is KeyState.READY

    async def test_a_secret_that_was_altered_at_the_homeserver_is_not_taken(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        made = await set_up(bot.machine)
        storage = SecretStorage(bot.machine.requests)
        key = await storage.open(made.recovery_key)
        name = setting_up.SECRETS[0]
        other = await bot.machine.requests.account_data(setting_up.SECRETS[1])
        assert other is not None
        await bot.machine.requests.set_account_data(name, other)
        with pytest.raises(NotTrusted):
            await storage.get(key, name)


class TestBackup:
    async def test_holds_each_key_once_and_can_be_read_by_the_steps_of_the_specification(
        self, cast: CryptoStage
    ) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        await bot.text(await ben.say(room, "hello"))
        await bot.say(room, "hello")
        backup = KeyBackup(bot.machine)
        with pytest.raises(NotOurs):
            await backup.upload()
        await set_up(bot.machine)
        assert (await backup.state(), await backup.upload(), await backup.upload()) == (BackupState.OURS, 2, 0)
        there, secret = await bot.machine.requests.backup(), await backup.secret()
        assert there is not None and secret is not None
        stored = (await bot.machine.requests.backup_keys(there["version"]))[room]["sessions"]
        opened = {session: opened_by_hand(each["session_data"], secret) for session, each in stored.items()}
        us = await bot.machine.identity()
        assert {each["sender_key"] == us.curve25519 for each in opened.values()} == {True, False}
        assert {each["algorithm"] for each in opened.values()} == {"m.megolm.v1.aes-sha2"}
        assert await backup.restore() == Restored(0, 2, 0)

    async def test_is_signed_by_the_device_and_the_master_key(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        made = await set_up(bot.machine)
        there, us = await bot.machine.requests.backup(), await bot.machine.identity()
        assert there is not None
        assert is_signed(there["auth_data"], bot.user, us.device, us.ed25519)
        assert is_signed(there["auth_data"], bot.user, made.standing.ours, made.standing.ours)

    async def test_that_somebody_else_made_is_not_written_to(self, cast: CryptoStage) -> None:
        bot = await cast.bot()
        await set_up(bot.machine)
        await bot.machine.requests.create_backup("m.megolm_backup.v1.curve25519-aes-sha2", {"public_key": "A" * 43})
        backup = KeyBackup(bot.machine)
        assert await backup.state() is BackupState.FOREIGN
        with pytest.raises(NotOurs):
            await backup.upload()
        with pytest.raises(WrongKey):
            await backup.adopt(bytes(32))

    async def test_an_unreadable_entry_stops_nothing(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        said = await ben.say(room, "hello")
        await bot.text(said)
        made = await set_up(bot.machine)
        await KeyBackup(bot.machine).upload()
        there = await bot.machine.requests.backup()
        assert there is not None
        rubbish = {"ciphertext": "AAAA", "mac": "AAAA", "ephemeral": "A" * 43}
        entry = {"first_message_index": 0, "forwarded_count": 0, "is_verified": True, "session_data": rubbish}
        await bot.machine.requests.put_backup_keys(there["version"], {room: {"sessions": {"rubbish": entry}}})
        new = await cast.second(bot)
        assert (await recover(new.machine, made.recovery_key))[1] == Restored(1, 0, 1)

    async def test_events_that_waited_can_be_read_after_it_was_restored(self, cast: CryptoStage) -> None:
        bot, ben = await cast.bot(), await cast.person("ben")
        room = await cast.room(bot, ben)
        made = await set_up(bot.machine)
        said = await ben.say(room, "of old")
        await bot.text(said)
        await KeyBackup(bot.machine).upload()
        new = await cast.second(bot)
        raw = await new.homeserver.event(room, EventId(said))
        assert isinstance(await new.machine.decrypt(raw, room), Sealed)
        assert await new.machine.ready() == ()
        await recover(new.machine, made.recovery_key)
        (late,) = await new.machine.ready()
        assert isinstance(late.result, Decrypted) and late.event == said


def opened_by_hand(data: dict[str, str], secret: bytes) -> dict[str, Any]:
    """Decrypt with another library (section "Backup algorithm: `m.megolm_backup.v1.curve25519-aes-sha2`")."""
    shared = X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(unb64(data["ephemeral"]))
    )
    keys = HKDF(SHA256(), 80, bytes(32), b"").derive(shared)
    assert hmac.digest(keys[32:64], b"", "sha256")[:8] == unb64(data["mac"])
    padded = Cipher(AES(keys[:32]), CBC(keys[64:])).decryptor().update(unb64(data["ciphertext"]))
    unpadder = PKCS7(128).unpadder()
    found: dict[str, Any] = orjson.loads(unpadder.update(padded) + unpadder.finalize())
    return found
