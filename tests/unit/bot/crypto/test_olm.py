"""Messages between devices: which are read, which are not trusted, and that nothing can stop reading the rest."""

from typing import Any

import orjson
import pytest
import vodozemac
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.crypto import devices
from bot.crypto.account import CURVE, OLM
from bot.crypto.encoding import b64
from bot.crypto.olm import SESSIONS_KEPT, UNWEDGE_EVERY_MS
from bot.crypto.room_keys import Decrypted
from bot.crypto.store import meta, set_meta
from tests.examples import tried
from tests.unit.bot.crypto.conftest import Make
from tests.unit.bot.crypto.pair import Side

TEXT = {"msgtype": "m.text", "body": "hello"}


async def keys_of(sender: Side, receiver: Side, *others: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    event = await sender.encrypt(TEXT, sender.user, receiver.user, *others)
    return event, await sender.outgoing(receiver)


class TestReading:
    async def test_a_key_arrives_and_opens_the_event(self, ann: Side, ben: Side) -> None:
        event, messages = await keys_of(ann, ben)
        heard = await ben.take(*messages)
        assert heard.keys == [("!room:x", event["content"]["session_id"])]
        read = await ben.read(event)
        assert isinstance(read, Decrypted)
        assert (read.event["type"], read.event["content"], read.event["event_id"]) == ("m.room.message", TEXT, "$1")
        assert (read.trust, read.device) == ("unsigned", ann.device)

    async def test_both_ways_in_one_session_and_after_opening_the_store_again(
        self, ann: Side, ben: Side, make: Make
    ) -> None:
        _, messages = await keys_of(ann, ben)
        await ben.take(*messages)
        event, back = await keys_of(ben, ann)  # no key of Ann's is claimed: the session is used
        assert [message["content"]["ciphertext"][(await ann.us()).curve25519]["type"] for message in back] == [1]
        again = await make(ann.user, ann.device)
        await again.take(*back)
        assert isinstance(await again.read(event), Decrypted)

    async def test_a_message_is_taken_once_and_its_repetition_breaks_nothing(self, ann: Side, ben: Side) -> None:
        _, messages = await keys_of(ann, ben)
        await ben.take(*messages)
        again = await ben.take(*messages)
        assert (again.keys, again.unreadable) == ([], 0)
        assert await ben.run(ben.olm.wedged) == []

    async def test_several_that_arrive_in_another_order_are_read(self, ann: Side, ben: Side) -> None:
        first, second = await ann.seal(ben, "m.dummy", {"n": 1}), await ann.seal(ben, "m.dummy", {"n": 2})
        assert (await ben.take(second, first)).unreadable == 0

    async def test_a_session_begun_by_both_at_once_serves_both(self, ann: Side, ben: Side) -> None:
        await ben.begin(ann)
        there, back = await ann.seal(ben, "m.dummy", {}), await ben.seal(ann, "m.dummy", {})
        assert (await ben.take(there)).unreadable == (await ann.take(back)).unreadable == 0

    async def test_only_so_many_sessions_are_kept(self, ann: Side, ben: Side) -> None:
        for number in range(SESSIONS_KEPT + 3):
            ann.now += number
            await ann.begin(ben)
        curve = (await ben.us()).curve25519
        query = "SELECT count(*) FROM olm_sessions WHERE sender_key = ?"
        assert await ann.run(lambda db: db.execute(query, (curve,)).fetchone()) == (SESSIONS_KEPT,)


class TestWhatIsNotBelieved:
    @pytest.mark.parametrize("field", ["sender", "recipient", "recipient_keys", "keys", "type", "sender_device_keys"])
    async def test_a_payload_that_contradicts_what_is_around_it(self, ann: Side, ben: Side, field: str) -> None:
        message = await forged(ann, ben, {field: {"ed25519": "A" * 43} if "keys" in field else None})
        assert (await ben.take(message)).unreadable == 1

    async def test_a_correct_payload_is_read_which_validates_the_forger(self, ann: Side, ben: Side) -> None:
        assert (await ben.take(await forged(ann, ben, {}))).unreadable == 0

    async def test_a_message_of_another_user_in_anns_name(self, ann: Side, ben: Side) -> None:
        message = await ann.seal(ben, "m.dummy", {})
        assert (await ben.take({**message, "sender": "@eve:x"})).unreadable == 1

    async def test_the_keys_shown_by_a_stranger_are_taken_but_make_no_recipient(self, ann: Side, make: Make) -> None:
        eve = await make("@eve:x")
        await eve.learn(ann)
        await eve.begin(ann)
        event, messages = await keys_of(eve, ann)
        await ann.take(*messages)
        read = await ann.read(event)
        assert isinstance(read, Decrypted) and (read.trust, read.device) == ("unknown", eve.device)
        assert await ann.run(lambda db: devices.of_user(db, eve.user)) == []

    async def test_a_one_time_key_that_its_device_did_not_sign(self, ann: Side, ben: Side) -> None:
        device = await ann.run(lambda db: devices.one(db, ben.user, ben.device))
        assert device is not None
        key = {**await ben.one_time_key(), "key": vodozemac.Curve25519SecretKey().public_key().to_base64()}
        assert await ann.run(lambda db: ann.olm.begin(db, device, key, ann.now)) is False

    async def test_a_room_key_under_the_id_of_another(self, ann: Side, ben: Side) -> None:
        group = vodozemac.GroupSession()
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "room_id": "!room:x",
            "session_id": vodozemac.GroupSession().session_id,
            "session_key": group.session_key.to_base64(),
        }
        assert (await ben.take(await ann.seal(ben, "m.room_key", content))).keys == []

    async def test_a_forwarded_key_that_nobody_asked_for_and_of_somebody_else(self, ann: Side, ben: Side) -> None:
        group = vodozemac.InboundGroupSession(vodozemac.GroupSession().session_key)
        exported = group.export_at(0)
        assert exported is not None
        content = {
            "algorithm": "m.megolm.v1.aes-sha2",
            "room_id": "!room:x",
            "session_id": group.session_id,
            "session_key": exported.to_base64(),
            "sender_key": "A" * 43,
            "sender_claimed_ed25519_key": "A" * 43,
            "forwarding_curve25519_key_chain": [],
        }
        assert (await ben.take(await ann.seal(ben, "m.forwarded_room_key", content))).keys == []


class TestMending:
    async def test_a_message_without_a_session_asks_for_a_new_one_once_an_hour(self, ann: Side, ben: Side) -> None:
        lost = await normal_message(ann, ben)
        assert (await ben.take(lost)).unreadable == 1
        (device,) = await ben.run(ben.olm.wedged)
        assert (device.user, device.device) == (ann.user, ann.device)
        await ben.run(lambda db: ben.olm.mended(db, device, ben.now))
        ben.now += UNWEDGE_EVERY_MS - 1
        await ben.take({**lost, "again": 1})
        assert await ben.run(ben.olm.wedged) == []
        ben.now += 1
        await ben.take({**lost, "again": 2})
        assert len(await ben.run(ben.olm.wedged)) == 1

    async def test_a_message_of_a_stranger_asks_for_nothing(self, ann: Side, ben: Side) -> None:
        await ben.take({**await normal_message(ann, ben), "sender": "@eve:x"})
        assert await ben.run(ben.olm.wedged) == []

    async def test_a_device_that_has_no_session_with_us_is_given_one(self, ann: Side, ben: Side) -> None:
        said = {"algorithm": OLM, "code": "m.no_olm", "sender_key": (await ben.us()).curve25519}
        await ann.take({"sender": ben.user, "type": "m.room_key.withheld", "content": said})
        assert [device.device for device in await ann.run(ann.olm.wedged)] == [ben.device]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
TYPES = ("m.room.encrypted", "m.room_key.withheld", "m.room_key_request", "m.room_key", "m.key.verification.start", 7)
FIELDS = ("algorithm", "sender_key", "ciphertext", "code", "room_id", "session_id", "body", "action", "type")


class TestWhateverComes:
    @settings(max_examples=tried(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            json_values
            | st.fixed_dictionaries(
                {
                    "sender": st.sampled_from(["@ann:x", "@ben:x", "@eve:x"]) | json_values,
                    "type": st.sampled_from(TYPES),
                    "content": json_values | st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5),
                }
            ),
            max_size=3,
        )
    )
    async def test_stops_nothing(self, ann: Side, ben: Side, events: list[Any]) -> None:
        good = await ann.seal(ben, "m.dummy", {})
        heard = await ben.take(*events, good)
        assert heard.keys == []

    @settings(max_examples=tried(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(kind=st.sampled_from([0, 1, 2, True, "0"]), body=st.binary(max_size=120))
    async def test_as_ciphertext_is_unreadable(self, ann: Side, ben: Side, kind: Any, body: bytes) -> None:
        ciphertext = {(await ben.us()).curve25519: {"type": kind, "body": b64(body)}}
        content = {"algorithm": OLM, "sender_key": (await ann.us()).curve25519, "ciphertext": ciphertext}
        heard = await ben.take({"sender": ann.user, "type": "m.room.encrypted", "content": content})
        assert heard.unreadable in (0, 1)  # 0: the very same was there before

    async def test_nested_too_deeply_is_left_out(self, ben: Side) -> None:
        deep: list[Any] = []
        for _ in range(5000):
            deep = [deep]
        heard = await ben.take({"sender": "@eve:x", "type": "m.dummy", "content": {"a": deep}})
        assert (heard.keys, heard.unreadable) == ([], 0)


class TestOneTimeKeys:
    async def test_keys_are_stored_before_upload_and_stay_the_same_until_confirmed(self, ann: Side) -> None:
        first = await ann.run(lambda db: ann.ours.upload(db, ann.now))
        again = await ann.run(lambda db: ann.ours.upload(db, ann.now))
        assert first == again and first.first
        assert len(first.body["one_time_keys"]) == 50 and len(first.body["fallback_keys"]) == 1
        await ann.run(lambda db: ann.ours.uploaded(db, {CURVE: 50}, ann.now))
        assert (await ann.run(lambda db: ann.ours.upload(db, ann.now))).body == {}

    async def test_used_ones_are_replaced_and_a_used_fallback_key_at_most_once_an_hour(self, ann: Side) -> None:
        await ann.run(lambda db: ann.ours.upload(db, ann.now))
        await ann.run(lambda db: ann.ours.uploaded(db, {CURVE: 50}, ann.now))
        await ann.run(lambda db: ann.ours.note_counts(db, {CURVE: 47}, [], ann.now))
        upload = await ann.run(lambda db: ann.ours.upload(db, ann.now))
        assert len(upload.body["one_time_keys"]) == 3 and "fallback_keys" not in upload.body
        later = ann.now + 3_600_000
        await ann.run(lambda db: ann.ours.note_counts(db, {CURVE: 47}, [], later))
        upload = await ann.run(lambda db: ann.ours.upload(db, later))
        assert len(upload.body["fallback_keys"]) == 1

    async def test_while_nothing_changes_the_account_is_neither_loaded_nor_stored(self, ann: Side) -> None:
        await ann.run(lambda db: ann.ours.upload(db, ann.now))
        await ann.run(lambda db: ann.ours.uploaded(db, {CURVE: 50}, ann.now))
        assert (await ann.run(lambda db: ann.ours.upload(db, ann.now))).body == {}
        account = await ann.run(lambda db: meta(db, "account"))
        await ann.run(lambda db: set_meta(db, "account", "cannot be loaded"))
        assert (await ann.run(lambda db: ann.ours.upload(db, ann.now))).body == {}
        await ann.run(lambda db: set_meta(db, "account", account or ""))
        await ann.run(lambda db: ann.ours.note_counts(db, {CURVE: 49}, None, ann.now))
        assert len((await ann.run(lambda db: ann.ours.upload(db, ann.now))).body["one_time_keys"]) == 1

    async def test_a_fallback_key_whose_upload_was_lost_is_uploaded_again(self, ann: Side) -> None:
        await ann.run(lambda db: ann.ours.upload(db, ann.now))
        await ann.run(lambda db: ann.ours.uploaded(db, {CURVE: 50}, ann.now))
        assert (await ann.run(lambda db: ann.ours.upload(db, ann.now))).body == {}
        later = ann.now + 3_600_000
        await ann.run(lambda db: ann.ours.note_counts(db, {CURVE: 50}, [], later))
        lost = await ann.run(lambda db: ann.ours.upload(db, later))
        assert lost.body["fallback_keys"]
        assert await ann.run(lambda db: ann.ours.upload(db, later)) == lost

    async def test_invalid_counts_change_nothing(self, ann: Side) -> None:
        await ann.run(lambda db: ann.ours.upload(db, ann.now))
        await ann.run(lambda db: ann.ours.uploaded(db, {CURVE: 50}, ann.now))
        wrong: tuple[object, ...] = (
            None,
            [],
            {CURVE: "3"},
            {CURVE: True},
            {CURVE: -1},
            {CURVE: -(10**18)},
            {CURVE: 10**5_000},
            7,
        )
        for counts in wrong:
            await ann.run(lambda db, counts=counts: ann.ours.note_counts(db, counts, "x", ann.now))  # type: ignore[misc]
        assert (await ann.run(lambda db: ann.ours.upload(db, ann.now))).body == {}


async def normal_message(ann: Side, ben: Side) -> dict[str, Any]:
    """Return a message of Ann's in a session that Ben had and lost."""
    await ben.take(await ann.seal(ben, "m.dummy", {}))
    await ann.take(await ben.seal(ann, "m.dummy", {}))
    message = await ann.seal(ben, "m.dummy", {})
    await ben.run(lambda db: db.execute("DELETE FROM olm_sessions"))
    return message


async def forged(ann: Side, ben: Side, change: dict[str, Any]) -> dict[str, Any]:
    """Return a message in Ann's session with another payload inside; a field that is None is left out."""
    us, them = await ann.us(), await ben.us()
    payload: dict[str, Any] = {
        "sender": ann.user,
        "recipient": ben.user,
        "recipient_keys": {"ed25519": them.ed25519},
        "keys": {"ed25519": us.ed25519},
        "sender_device_keys": await ann.published(),
        "type": "m.dummy",
        "content": {},
    } | change
    payload = {name: value for name, value in payload.items() if value is not None or name == "sender_device_keys"}
    key = await ben.one_time_key()
    account = await ann.run(ann.ours.load)
    session = account.create_outbound_session(
        vodozemac.Curve25519PublicKey.from_base64(them.curve25519),
        vodozemac.Curve25519PublicKey.from_base64(key["key"]),
    )
    kind, body = session.encrypt(orjson.dumps(payload)).to_parts()
    ciphertext = {them.curve25519: {"type": kind, "body": b64(body)}}
    content = {"algorithm": OLM, "sender_key": us.curve25519, "ciphertext": ciphertext}
    return {"sender": ann.user, "type": "m.room.encrypted", "content": content}
