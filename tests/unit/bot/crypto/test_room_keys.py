"""Room keys: who may have written with them, which of two is kept, and that replays are not taken as new."""

from typing import Any

import pytest
import vodozemac
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.crypto import devices, undecrypted_events
from bot.crypto.account import MEGOLM
from bot.crypto.cross_signing import PrivateKeys
from bot.crypto.room_keys import Decrypted, RoomKey, Sealed
from tests.examples import tried
from tests.unit.bot.crypto.conftest import Make
from tests.unit.bot.crypto.pair import NOW, ROOM, Side

TEXT = {"msgtype": "m.text", "body": "hello"}


async def heard(sender: Side, receiver: Side, **more: Any) -> dict[str, Any]:
    """Return an event of the sender's, whose key the receiver has."""
    event = await sender.encrypt({**TEXT, **more}, sender.user, receiver.user)
    await receiver.take(*await sender.outgoing(receiver))
    return event


def session_of(event: dict[str, Any]) -> str:
    return str(event["content"]["session_id"])


class TestWhoWrote:
    async def test_a_message_of_a_signed_device_is_signed(self, ann: Side, ben: Side) -> None:
        await ben.learn(ann, signing=PrivateKeys.new())
        read = await ben.read(await heard(ann, ben))
        assert isinstance(read, Decrypted) and (read.trust, read.device) == ("signed", ann.device)

    async def test_our_own_message_is_recognised(self, ann: Side, ben: Side) -> None:
        read = await ann.read(await heard(ann, ben))
        assert isinstance(read, Decrypted) and read.trust == "own"

    async def test_messages_of_a_deleted_device_keep_their_sender(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben)
        await ben.learn(ann, gone=[ann])
        read = await ben.read(event)
        assert isinstance(read, Decrypted) and read.trust == "unsigned"

    async def test_an_event_of_somebody_else_is_not_read_with_anns_key(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben)
        assert await ben.read({**event, "sender": "@eve:x", "event_id": "$2"}) == Sealed(
            "$2", ROOM, session_of(event), "not-theirs"
        )

    async def test_claiming_anns_key_as_ones_own_gains_nothing(self, ann: Side, ben: Side, make: Make) -> None:
        """Eve sends Ann's key to Ben first: Ann's events are still read as hers, and Eve's copies are replays."""
        eve = await make("@eve:x")
        await eve.learn(ben)
        await eve.begin(ben)
        event = await ann.encrypt(TEXT, ann.user, ben.user)
        messages = await ann.outgoing(ben)
        pickle = await ann.run(lambda db: db.execute("SELECT pickle FROM room_keys").fetchone()[0])
        exported = vodozemac.InboundGroupSession.from_pickle(pickle, ann.store.pickle_key).export_at(0)
        assert exported is not None
        group = await ann.run(lambda db: db.execute("SELECT pickle FROM group_sessions").fetchone()[0])
        key = vodozemac.GroupSession.from_pickle(group, ann.store.pickle_key).session_key.to_base64()
        content = {"algorithm": "m.megolm.v1.aes-sha2", "room_id": ROOM, "session_id": session_of(event)}
        await ben.take(await eve.seal(ben, "m.room_key", {**content, "session_key": key}))
        await ben.take(*messages)
        read = await ben.read(event)
        assert isinstance(read, Decrypted) and read.device == ann.device
        copied = await ben.read({**event, "sender": eve.user, "event_id": "$copy"})
        assert isinstance(copied, Sealed) and copied.code == "replayed"

    async def test_a_key_that_was_handed_on_proves_nothing_until_it_comes_from_its_owner(
        self, ann: Side, ben: Side
    ) -> None:
        event = await ann.encrypt(TEXT, ann.user, ben.user)
        key = await ann.run(lambda db: ann.keys.export(db, ROOM, session_of(event)))
        assert key is not None
        handed = RoomKey(room=ROOM, session=key.session, key=key.key, exported=True, source="backup")
        assert await ben.run(lambda db: ben.keys.add(db, handed, NOW))
        before = await ben.read(event)
        await ben.take(*await ann.outgoing(ben))
        after = await ben.read(event)
        assert isinstance(before, Decrypted) and isinstance(after, Decrypted)
        assert (before.trust, after.trust) == ("handed-on", "unsigned")


class TestReplays:
    async def test_the_same_event_can_be_read_again_but_not_as_another(self, ann: Side, ben: Side, make: Make) -> None:
        event = await heard(ann, ben)
        first, again = await ben.read(event), await ben.read(event)
        assert first == again and isinstance(first, Decrypted)
        replayed = Sealed("$2", ROOM, session_of(event), "replayed")
        assert await ben.read({**event, "event_id": "$2"}) == replayed
        reopened = await make(ben.user, ben.device)
        assert await reopened.read({**event, "event_id": "$2"}) == replayed

    async def test_an_event_cannot_be_moved_to_another_room(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben)
        assert (await ben.read(event, "!other:x")) == Sealed("$1", "!other:x", session_of(event), "missing", waits=True)
        key = await ben.run(lambda db: ben.keys.export(db, ROOM, session_of(event)))
        assert key is not None
        moved = RoomKey(room="!other:x", session=key.session, key=key.key, exported=True, source="backup")
        await ben.run(lambda db: ben.keys.add(db, moved, NOW))
        assert (await ben.read(event, "!other:x")) == Sealed("$1", "!other:x", session_of(event), "damaged")

    @pytest.mark.parametrize("change", [{"ciphertext": "AAAA"}, {"ciphertext": 7}, {"ciphertext": ""}])
    async def test_damaged_ciphertext_is_reported_as_damaged(
        self, ann: Side, ben: Side, change: dict[str, Any]
    ) -> None:
        event = await heard(ann, ben)
        event["content"] |= change
        assert await ben.read(event) == Sealed("$1", ROOM, session_of(event), "damaged")

    async def test_one_bit_is_enough(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben)
        text = event["content"]["ciphertext"]
        event["content"]["ciphertext"] = text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]
        assert await ben.read(event) == Sealed("$1", ROOM, session_of(event), "damaged")

    @pytest.mark.parametrize("content", [{}, {"algorithm": "m.olm.v1"}, {"algorithm": "m.megolm.v1.aes-sha2"}, None])
    async def test_an_unknown_encryption_is_foreign(self, ann: Side, content: Any) -> None:
        assert await ann.read({**ann.event({}), "content": content}) == Sealed("$1", ROOM, "", "foreign")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=tried(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(st.sampled_from(["ciphertext", "session_id", "algorithm", "m.relates_to"]), json_values))
async def test_any_event_is_read_or_stays_sealed(ann: Side, ben: Side, change: dict[str, Any]) -> None:
    event = await heard(ann, ben)
    event["content"] |= change
    assert isinstance(await ben.read(event), Decrypted | Sealed)


class TestWhichIsKept:
    async def test_the_one_that_begins_earlier(self, ann: Side, ben: Side) -> None:
        """Ben gets the key from the second message on; the first one opens once a better key is there."""
        first = await ann.encrypt(TEXT, ann.user)
        second = await heard(ann, ben)
        assert isinstance(await ben.read({**second, "event_id": "$2"}), Decrypted)
        sealed = await ben.read(first)
        assert sealed == Sealed("$1", ROOM, session_of(first), "missing", waits=True)
        better = await ann.run(lambda db: ann.keys.export(db, ROOM, session_of(first)))
        assert better is not None
        handed = RoomKey(room=ROOM, session=better.session, key=better.key, exported=True, source="forwarded")
        assert await ben.run(lambda db: ben.keys.add(db, handed, NOW))
        read = await ben.read(first)
        assert isinstance(read, Decrypted) and read.trust == "unsigned"  # its owner is known from the worse one

    async def test_never_one_of_another_ratchet(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben)
        other = vodozemac.InboundGroupSession(vodozemac.GroupSession().session_key).export_at(0)
        assert other is not None
        fake = RoomKey(room=ROOM, session=session_of(event), key=other.to_base64(), exported=True, source="backup")
        assert not await ben.run(lambda db: ben.keys.add(db, fake, NOW))
        assert isinstance(await ben.read(event), Decrypted)

    @pytest.mark.parametrize("key", ["", "AAAA", "é", "A" * 300])
    async def test_never_an_invalid_key(self, ben: Side, key: str) -> None:
        for exported in (True, False):
            none = RoomKey(room=ROOM, session="s", key=key, exported=exported, source="backup")
            assert not await ben.run(lambda db, none=none: ben.keys.add(db, none, NOW))  # type: ignore[misc]


class TestRelations:
    async def test_stand_outside_and_come_back(self, ann: Side, ben: Side) -> None:
        relation = {"rel_type": "m.thread", "event_id": "$root"}
        event = await heard(ann, ben, **{"m.relates_to": relation})
        assert event["content"]["m.relates_to"] == relation
        read = await ben.read(event)
        assert isinstance(read, Decrypted) and read.event["content"] == {**TEXT, "m.relates_to": relation}

    async def test_count_only_outside_the_ciphertext(self, ann: Side, ben: Side) -> None:
        event = await heard(ann, ben, **{"m.relates_to": {"rel_type": "m.replace", "event_id": "$old"}})
        del event["content"]["m.relates_to"]
        read = await ben.read(event)
        assert isinstance(read, Decrypted) and read.event["content"] == TEXT


class TestWithheld:
    async def test_only_the_sender_can_say_why_a_key_is_withheld(self, ann: Side, ben: Side) -> None:
        event = await ann.encrypt(TEXT, ann.user, ben.user)
        about = {"algorithm": "m.megolm.v1.aes-sha2", "room_id": ROOM, "session_id": session_of(event)}
        said = {**about, "code": "m.unverified", "sender_key": "A" * 43}
        heard = await ben.take(
            {"sender": ann.user, "type": "m.room_key.withheld", "content": said},
            {"sender": "@eve:x", "type": "m.room_key.withheld", "content": {**said, "code": "m.blacklisted"}},
        )
        assert heard.withheld == [(ROOM, session_of(event))] * 2
        code = await ben.run(lambda db: undecrypted_events.code_of(db, ROOM, session_of(event), ann.user))
        assert code == "m.unverified"

    async def test_a_malformed_notice_is_ignored(self, ben: Side) -> None:
        assert (
            await ben.take({"sender": "@a:x", "type": "m.room_key.withheld", "content": {"code": 3}})
        ).withheld == []


class TestAskingOurOtherDevice:
    async def test_it_hands_the_key_on_and_only_to_a_signed_one_that_asked(self, ann: Side, make: Make) -> None:
        signing, laptop, stolen = PrivateKeys.new(), await make(ann.user, "LAPTOP"), await make(ann.user, "STOLEN")
        await ann.learn(laptop, signing=signing)
        await laptop.learn(ann, signing=signing)
        await ann.answer(
            {"device_keys": {ann.user: {"LAPTOP": await laptop.published(signing), "STOLEN": await stolen.published()}}}
        )
        await ann.begin(laptop)
        event = await ann.encrypt(TEXT, "@ben:x")
        await ann.run(lambda db: db.execute("DELETE FROM outgoing"))
        asked = await laptop.run(lambda db: undecrypted_events.request_key(db, ROOM, session_of(event), "LAPTOP"))
        assert asked is not None
        request = {"sender": ann.user, "type": "m.room_key_request", "content": asked}
        await ann.take({**request, "content": {**asked, "requesting_device_id": "STOLEN"}}, request)
        assert await ann.outgoing(stolen) == []
        answer = await ann.outgoing(laptop)
        assert (await laptop.take(*answer)).keys == [(ROOM, session_of(event))]
        assert isinstance(await laptop.read(event), Decrypted)
        assert (
            await laptop.run(lambda db: undecrypted_events.request_key(db, ROOM, session_of(event), "LAPTOP"))
            is not None
        )

    async def test_it_is_asked_once(self, ann: Side) -> None:
        assert await ann.run(lambda db: undecrypted_events.request_key(db, ROOM, "s", "D")) is not None
        assert await ann.run(lambda db: undecrypted_events.request_key(db, ROOM, "s", "D")) is None


class TestDeviceLists:
    async def test_a_device_whose_keys_change_keeps_the_old_ones(self, ann: Side, ben: Side, make: Make) -> None:
        other = await make("@ann:x", "OTHER")
        before = await ben.run(lambda db: devices.one(db, ann.user, ann.device))
        fake = await other.published()
        mine = {"user_id": ann.user, "device_id": ann.device, "algorithms": fake["algorithms"]}
        halves = {f"{name.partition(':')[0]}:{ann.device}": key for name, key in fake["keys"].items()}
        signed = await other.run(lambda db: other.ours.sign(db, {**mine, "keys": halves}))
        signature = signed["signatures"][ann.user][f"ed25519:{other.device}"]
        published = {**mine, "keys": halves, "signatures": {ann.user: {f"ed25519:{ann.device}": signature}}}
        await ben.answer({"device_keys": {ann.user: {ann.device: published}}})
        after = await ben.run(lambda db: devices.one(db, ann.user, ann.device))
        assert before == after

    @pytest.mark.parametrize("wrong", [{}, None, 7, {"keys": {}}, {"signatures": {}}, {"algorithms": ["x"]}])
    async def test_only_malformed_devices_are_left_out(self, ann: Side, ben: Side, wrong: Any) -> None:
        good = await ben.published()
        bad = {**good, "device_id": "BAD", **wrong} if isinstance(wrong, dict) else wrong
        await ann.answer({"device_keys": {ben.user: {"BAD": bad, ben.device: good}}})
        assert [each.device for each in await ann.run(lambda db: devices.of_user(db, ben.user))] == [ben.device]

    async def test_an_absent_homeserver_removes_no_known_devices(self, ann: Side, ben: Side) -> None:
        await ann.run(lambda db: devices.note_changes(db, [ben.user], []))
        us = await ann.us()
        me = devices.Device(us.user, us.device, us.curve25519, us.ed25519)
        asked = await ann.run(lambda db: devices.stale(db, {ben.user}))
        await ann.run(lambda db: devices.learn(db, asked, {"failures": {"x": {}}, "device_keys": {}}, me))
        assert [each.device for each in await ann.run(lambda db: devices.of_user(db, ben.user))] == [ben.device]
        assert await ann.run(lambda db: devices.stale(db)) == asked

    async def test_a_change_that_comes_while_we_ask_is_asked_for_again(self, ann: Side, ben: Side) -> None:
        await ann.run(lambda db: devices.note_changes(db, [ben.user], []))
        asked = await ann.run(lambda db: devices.stale(db, {ben.user}))
        await ann.run(lambda db: devices.note_changes(db, [ben.user], []))
        answer = {"device_keys": {ben.user: {ben.device: await ben.published()}}}
        us = await ann.us()
        me = devices.Device(us.user, us.device, us.curve25519, us.ed25519)
        await ann.run(lambda db: devices.learn(db, asked, answer, me))
        assert await ann.run(lambda db: devices.stale(db)) == {ben.user: 2}

    async def test_a_master_key_that_changes_is_told_once(self, ann: Side, ben: Side) -> None:
        first, second = PrivateKeys.new(), PrivateKeys.new()
        await ann.learn(ben, signing=first)
        assert await ann.run(devices.take_changed) == []
        await ann.learn(ben, signing=second)
        (changed,) = await ann.run(devices.take_changed)
        assert (changed.user, changed.master, changed.first_master, changed.changed) == (
            ben.user,
            second.master.public,
            first.master.public,
            True,
        )
        assert await ann.run(devices.take_changed) == []

    async def test_a_self_signing_key_that_the_master_did_not_sign_signs_nothing(self, ann: Side, ben: Side) -> None:
        real, fake = PrivateKeys.new(), PrivateKeys.new()
        answer = {
            "device_keys": {ben.user: {ben.device: await ben.published(fake)}},
            "master_keys": {ben.user: real.public(ben.user)["master_key"]},
            "self_signing_keys": {ben.user: fake.public(ben.user)["self_signing_key"]},
        }
        await ann.answer(answer)
        assert [each.signed for each in await ann.run(lambda db: devices.of_user(db, ben.user))] == [False]


class TestASignThatNoDatabaseTextCanHold:
    """U+0000 in what strangers name: kept as it is, or as U+FFFD, but never an error."""

    async def test_in_a_session_and_a_reason(self, ann: Side, ben: Side) -> None:
        raw = {
            "event_id": "$a\0b",
            "sender": ann.user,
            "content": {"algorithm": MEGOLM, "session_id": "s\0t", "ciphertext": "x\0y"},
        }
        sealed = await ben.read(raw)
        assert isinstance(sealed, Sealed) and sealed.waits
        said = {"algorithm": MEGOLM, "code": "m.blacklisted", "room_id": ROOM, "session_id": "s\0t"}
        await ben.run(lambda db: undecrypted_events.wait(db, "$a\0b", ROOM, "s\0t", raw, "", NOW))
        await ben.take({"sender": ann.user, "type": "m.room_key.withheld", "content": said})
        ((event, _, session, code),) = await ben.run(undecrypted_events.untold)
        assert code == "m.blacklisted"
        assert {event, session} in ({"$a\0b", "s\0t"}, {"$a\ufffdb", "s\ufffdt"})
        await ben.run(lambda db: undecrypted_events.delete_events(db, [event]))
        assert await ben.run(undecrypted_events.count) == 0

    async def test_in_the_name_of_a_member(self, ann: Side, ben: Side) -> None:
        strange = "@e\0ve:x"
        await ann.run(lambda db: devices.track(db, [strange]))
        event = await ann.encrypt(TEXT, ann.user, ben.user, strange)
        await ben.take(*await ann.outgoing(ben))
        assert isinstance(await ben.read(event), Decrypted)
