"""Emoji comparison: both roles, nio as a second opinion, every step at the wrong time, and failed verifications."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nio.crypto.device import OlmDevice
from nio.crypto.sas import Sas
from nio.events.to_device import KeyVerificationAccept, KeyVerificationKey, KeyVerificationMac, KeyVerificationStart

from bot.crypto.emoji import EMOJI
from bot.crypto.encoding import b64, unb64
from bot.crypto.sas import LASTS_MS, PREFIX, SAS, Party, SasMessage, SasStage, Verification
from bot.crypto.signing import SigningKey

NOW = 1_800_000_000_000


def party(user: str, device: str, *, master: bool = True) -> Party:
    return Party(user, device, SigningKey.new().public, SigningKey.new().public if master else "")


ANN, BOT = party("@ann:x", "PHONE"), party("@bot:x", "SERVER")


class Talk:
    """Two sides, and the messages on their way."""

    def __init__(self, one: Party = ANN, other: Party = BOT, *, in_room: bool = False) -> None:
        self.one = Verification(one, other.user, "txn", NOW, in_room=in_room)
        self.other = Verification(other, one.user, "txn", NOW, in_room=in_room)
        self.one.meet(other)
        self.other.meet(one)
        self.change: Callable[[SasMessage], dict[str, Any]] = lambda message: message.content

    def carry(self, messages: list[SasMessage], to: Verification) -> None:
        """Carry messages and their answers back and forth until there are no more."""
        back = self.one if to is self.other else self.other
        for message in messages:
            self.carry(to.take(message.type, self.change(message)), back)

    def until_shown(self, starter: str = "one") -> None:
        self.carry(self.other.accept(), self.one)
        starts = self.one if starter == "one" else self.other
        self.carry(starts.start(), self.other if starts is self.one else self.one)

    @property
    def stages(self) -> tuple[SasStage, SasStage]:
        return self.one.stage, self.other.stage


@pytest.mark.parametrize("starter", ["one", "other"])
@pytest.mark.parametrize("in_room", [False, True])
def test_both_see_the_same_and_know_each_others_keys_in_the_end(starter: str, in_room: bool) -> None:
    talk = Talk(in_room=in_room)
    talk.until_shown(starter)
    assert talk.stages == (SasStage.SHOWN, SasStage.SHOWN)
    assert talk.one.shown == talk.other.shown and talk.one.shown is not None
    assert len(talk.one.shown.emoji) == 7 and all(1000 <= n <= 9191 for n in talk.one.shown.numbers)
    talk.carry(talk.one.confirm(), talk.other)
    assert talk.stages == (SasStage.CONFIRMED, SasStage.SHOWN)
    assert (talk.one.verified, talk.other.verified) == ({}, {})
    talk.carry(talk.other.confirm(), talk.one)
    assert talk.stages == (SasStage.DONE, SasStage.DONE)
    assert (talk.one.verified, talk.other.verified) == (BOT.keys(), ANN.keys())


def test_messages_name_the_verification_as_rooms_and_devices_do() -> None:
    (ready,) = Verification(ANN, "@bot:x", "id", NOW, in_room=True).accept()
    assert ready.content["m.relates_to"] == {"rel_type": "m.reference", "event_id": "id"}
    (ready,) = Verification(ANN, "@bot:x", "id", NOW, in_room=False).accept()
    assert ready.content["transaction_id"] == "id"


def test_when_both_start_the_smaller_user_id_is_followed() -> None:
    talk = Talk()
    talk.carry(talk.other.accept(), talk.one)
    mine, theirs = talk.one.start(), talk.other.start()
    talk.carry(theirs, talk.one)
    assert talk.one.stage is SasStage.STARTED
    talk.carry(mine, talk.other)
    assert talk.stages == (SasStage.SHOWN, SasStage.SHOWN)
    assert talk.one.shown == talk.other.shown


class TestNio:
    """nio as the other side: a second opinion on the key agreement, the numbers and the MACs.

    Unmodified, nio 0.26 cannot be verified by any other client: it writes the commitment in hexadecimal (translated
    here on the way), makes the MACs of the newer method under the older one's name (renamed here), and treats the
    numbers of the emoji as bytes (these are compared with a current client, in
    tests/long/synapse/test_crypto_clients.py).
    """

    @pytest.fixture(autouse=True)
    def named_rightly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Sas, "_mac_normal", "hkdf-hmac-sha256.v2")
        monkeypatch.setattr(Sas, "_mac_v1", ["hkdf-hmac-sha256.v2"])

    def test_sees_the_same_and_verifies_us_and_we_it(self) -> None:
        ours = Verification(BOT, ANN.user, "txn", NOW, in_room=False)
        ours.meet(ANN)
        device = OlmDevice(BOT.user, BOT.device, {"ed25519": BOT.ed25519, "curve25519": "A" * 43})
        nio = Sas(ANN.user, ANN.device, ANN.ed25519, device, "txn")
        start = nio.start_verification().content
        (accept,) = ours.take(PREFIX + "start", start)
        accept.content["commitment"] = unb64(accept.content["commitment"]).hex()
        nio.receive_accept_event(KeyVerificationAccept.from_dict(_event(accept)))
        (key,) = ours.take(PREFIX + "key", nio.share_key().content)
        nio.receive_key_event(KeyVerificationKey.from_dict(_event(key)))
        assert ours.shown is not None
        assert ours.shown.numbers == nio.get_decimals()
        nio.accept_sas()
        assert ours.take(PREFIX + "mac", nio.get_mac().content) == []
        mac, done = ours.confirm()
        nio.receive_mac_event(KeyVerificationMac.from_dict(_event(mac)))
        assert (nio.verified, done.type, ours.stage) == (True, PREFIX + "done", SasStage.DONE)
        assert ours.verified == {f"ed25519:{ANN.device}": ANN.ed25519}  # it does not speak of a master key

    def test_accepts_what_we_start(self) -> None:
        ours = Verification(BOT, ANN.user, "txn", NOW, in_room=False)
        ours.meet(ANN)
        ours.accept()
        (start,) = ours.start()
        device = OlmDevice(BOT.user, BOT.device, {"ed25519": BOT.ed25519, "curve25519": "A" * 43})
        event = KeyVerificationStart.from_dict(_event(start))
        nio = Sas.from_key_verification_start(ANN.user, ANN.device, ANN.ed25519, device, event)
        accept = nio.accept_verification().content
        accept["commitment"] = b64(bytes.fromhex(accept["commitment"]))
        (key,) = ours.take(PREFIX + "accept", accept)
        nio.receive_key_event(KeyVerificationKey.from_dict(_event(key)))
        ours.take(PREFIX + "key", nio.share_key().content)
        assert ours.shown is not None
        assert ours.shown.numbers == nio.get_decimals()


def _event(message: SasMessage) -> dict[str, Any]:
    return {"sender": BOT.user, "type": message.type, "content": message.content}


class TestTampering:
    @pytest.mark.parametrize(
        ("step", "change", "code"),
        [
            ("accept", {"commitment": "A" * 43}, "m.mismatched_commitment"),
            ("accept", {"hash": "sha1"}, "m.unknown_method"),
            ("accept", {"key_agreement_protocol": "curve25519"}, "m.unknown_method"),
            ("accept", {"message_authentication_code": "hmac-md5"}, "m.unknown_method"),
            ("key", {"key": "A" * 43}, "m.mismatched_commitment"),
            ("key", {"key": "AAAA"}, "m.invalid_message"),
            ("key", {"key": 7}, "m.invalid_message"),
            ("mac", {"keys": "A" * 43}, "m.key_mismatch"),
            ("mac", {"mac": {}}, "m.key_mismatch"),
            ("mac", {"mac": 7}, "m.key_mismatch"),
            ("ready", {"methods": ["m.qr_code.show.v1"]}, "m.unknown_method"),
            ("ready", {"methods": 7}, "m.unknown_method"),
        ],
    )
    def test_with_what_the_bot_says_ends_it_at_anns(self, step: str, change: dict[str, Any], code: str) -> None:
        talk = Talk()

        def changed(message: SasMessage) -> dict[str, Any]:
            from_bot = talk.carrying_to is talk.one  # type: ignore[attr-defined]
            return message.content | change if from_bot and message.type == PREFIX + step else message.content

        plain = talk.carry

        def carry(messages: list[SasMessage], to: Verification) -> None:
            for message in messages:
                talk.carrying_to = to  # type: ignore[attr-defined]
                content = changed(message)
                carry(to.take(message.type, content), talk.one if to is talk.other else talk.other)

        talk.carry = carry  # type: ignore[method-assign]
        talk.until_shown()
        talk.carry(talk.other.confirm(), talk.one)
        talk.carry(talk.one.confirm(), talk.other)
        assert (talk.stages, talk.one.code) == ((SasStage.CANCELLED, SasStage.CANCELLED), code)
        assert (talk.one.verified, talk.other.verified) == ({}, {})
        assert plain is not carry

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"method": "m.reciprocate.v1"}, "m.unknown_method"),
            ({"hashes": ["sha1"]}, "m.unknown_method"),
            ({"hashes": "sha256"}, "m.invalid_message"),
            ({"key_agreement_protocols": ["curve25519"]}, "m.unknown_method"),
            ({"message_authentication_codes": []}, "m.unknown_method"),
            ({"short_authentication_string": ["emoji"]}, "m.unknown_method"),
            ({"from_device": "OTHER"}, "m.user_mismatch"),
            ({"from_device": 7}, "m.user_mismatch"),
        ],
    )
    def test_with_a_start_ends_it(self, change: dict[str, Any], code: str) -> None:
        talk = Talk()
        talk.carry(talk.other.accept(), talk.one)
        (start,) = talk.one.start()
        (cancel,) = talk.other.take(start.type, start.content | change)
        assert (cancel.content["code"], talk.other.code) == (code, code)

    def test_somebody_in_between_shows_both_something_else(self) -> None:
        """Eve poses to each as the other: the emoji differ, and people can see it."""
        eve_as_bot, eve_as_ann = party(BOT.user, BOT.device), party(ANN.user, ANN.device)
        left, right = Talk(ANN, eve_as_bot), Talk(eve_as_ann, BOT)
        left.until_shown()
        right.until_shown()
        assert left.one.shown is not None and left.one.shown != right.other.shown

    def test_a_device_key_that_the_homeserver_made_up_is_found_even_if_people_do_not_look(self) -> None:
        wrong = Party(BOT.user, BOT.device, SigningKey.new().public, BOT.master)
        talk = Talk()
        talk.one.them = wrong
        talk.until_shown()
        talk.carry(talk.other.confirm(), talk.one)
        assert (talk.one.stage, talk.one.code) == (SasStage.CANCELLED, "m.key_mismatch")

    def test_a_master_key_that_we_do_not_know_is_not_verified(self) -> None:
        talk = Talk()
        talk.one.them = Party(BOT.user, BOT.device, BOT.ed25519, "")
        talk.until_shown()
        talk.carry(talk.other.confirm(), talk.one)
        talk.carry(talk.one.confirm(), talk.other)
        assert talk.one.verified == {f"ed25519:{BOT.device}": BOT.ed25519}


STEPS = ("ready", "start", "accept", "key", "mac", "done", "request", "unknown")


class TestSteps:
    @pytest.mark.parametrize("step", STEPS)
    def test_after_the_end_nothing_happens(self, step: str) -> None:
        talk = Talk()
        talk.until_shown()
        talk.one.cancel()
        assert (talk.one.take(PREFIX + step, {}), talk.one.stage, talk.one.code) == ([], SasStage.CANCELLED, "m.user")

    @pytest.mark.parametrize("step", [each for each in STEPS if each not in ("mac", "done")])
    def test_out_of_turn_they_end_it(self, step: str) -> None:
        talk = Talk()
        talk.until_shown()
        (cancel,) = talk.one.take(PREFIX + step, {"key": "A" * 43, "method": SAS})
        assert (cancel.type, cancel.content["code"]) == (PREFIX + "cancel", "m.unexpected_message")

    def test_a_cancellation_is_not_answered(self) -> None:
        talk = Talk()
        assert talk.one.take(PREFIX + "cancel", {"code": "m.user"}) == []
        assert (talk.one.stage, talk.one.code) == (SasStage.CANCELLED, "m.user")

    def test_it_ends_when_it_takes_too_long(self) -> None:
        talk = Talk()
        assert talk.one.expire(NOW + LASTS_MS - 1) == []
        (cancel,) = talk.one.expire(NOW + LASTS_MS)
        assert cancel.content["code"] == "m.timeout"

    def test_nobody_can_confirm_before_there_is_something_to_see(self) -> None:
        talk = Talk()
        for do in (talk.other.accept, talk.other.start):
            assert talk.other.confirm() == []
            do()
        assert talk.other.confirm() == []

    @given(st.lists(st.tuples(st.sampled_from(STEPS), st.dictionaries(st.text(), st.text() | st.integers()))))
    def test_no_exchange_verifies_without_comparison(self, said: list[tuple[str, dict[str, Any]]]) -> None:
        verification = Verification(BOT, ANN.user, "txn", NOW, in_room=False)
        verification.meet(ANN)
        for step, content in said:
            verification.take(PREFIX + step, content)
        assert verification.verified == {}


def test_the_emoji_are_sixty_four_different_ones() -> None:
    assert len(EMOJI) == len({symbol for symbol, _ in EMOJI}) == len({name for _, name in EMOJI}) == 64
    assert list(itertools.islice(EMOJI, 2)) == [("🐶", "dog"), ("🐱", "cat")]
