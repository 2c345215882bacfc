"""Secret storage, recovery keys and the store's own key, with pycryptodome as a second opinion."""

import hmac
from pathlib import Path

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto import recovery_key, store_key
from bot.crypto.encoding import b64, unb64
from bot.crypto.errors import NotTrusted, WrongKey
from bot.crypto.secret_storage import ALGORITHM, check_of, decrypt, encrypt, fits, secret_of, without_bit_63
from bot.crypto.store_key import StoreKey
from moderation.values.errors import Broken

SECRET = bytes(range(32))


class TestRecoveryKey:
    # From the tests of other clients: the key of RFC 7748, section 6.1.
    BYTES = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    WORDS = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d"

    def test_is_written_and_read_as_other_clients_do(self) -> None:
        assert recovery_key.encode(self.BYTES) == self.WORDS
        assert recovery_key.decode(self.WORDS) == self.BYTES
        assert recovery_key.decode(self.WORDS.replace(" ", "")) == self.BYTES

    @given(st.binary(min_size=32, max_size=32))
    def test_round_trips_for_any_value(self, key: bytes) -> None:
        assert recovery_key.decode(recovery_key.encode(key)) == key

    @pytest.mark.parametrize(
        "words", [WORDS[:-5], WORDS + " EsTc", WORDS.replace("LW2K", "LW2L"), WORDS.replace("T", "0"), "", "EsTc"]
    )
    def test_that_is_mistyped_is_noticed_and_not_repeated(self, words: str) -> None:
        with pytest.raises(WrongKey) as refused:
            recovery_key.decode(words)
        assert "wkEA" not in str(refused.value) and "PGiF" not in str(refused.value)


class TestSecretStorage:
    def test_reads_and_writes_as_the_specification_says(self) -> None:
        """Another library does each step of "m.secret_storage.v1.aes-hmac-sha2"."""
        sealed = encrypt(SECRET, "m.some.secret", "a secret")
        both = HKDF(SECRET, 64, bytes(32), SHA256, context=b"m.some.secret")
        assert isinstance(both, bytes)
        iv, data = unb64(sealed["iv"]), unb64(sealed["ciphertext"])
        assert unb64(sealed["mac"]) == hmac.digest(both[32:], data, "sha256")
        assert AES.new(both[:32], AES.MODE_CTR, nonce=b"", initial_value=iv).decrypt(data) == b"a secret"
        assert iv[8] & 0x80 == 0

    def test_a_stored_secret_is_read_back(self) -> None:
        assert decrypt(SECRET, "a", encrypt(SECRET, "a", "秘密")) == "秘密"

    def test_a_padded_one_of_another_client_is_read(self) -> None:
        sealed = {name: value + "=" * (-len(value) % 4) for name, value in encrypt(SECRET, "a", "text").items()}
        assert decrypt(SECRET, "a", sealed) == "text"

    @pytest.mark.parametrize("part", ["iv", "ciphertext", "mac"])
    def test_one_that_was_altered_or_lacks_a_part_is_not_taken(self, part: str) -> None:
        sealed = encrypt(SECRET, "a", "a secret of some length")
        lacking = {name: value for name, value in sealed.items() if name != part}
        for wrong in (lacking, {**sealed, part: "AAAA"}, {**sealed, part: "é"}):
            with pytest.raises(NotTrusted):
                decrypt(SECRET, "a", wrong)

    def test_one_cannot_be_put_in_the_place_of_another(self) -> None:
        with pytest.raises(NotTrusted):
            decrypt(SECRET, "m.cross_signing.master", encrypt(SECRET, "m.cross_signing.self_signing", "x"))

    def test_a_key_is_recognised_by_its_description(self) -> None:
        description = {"algorithm": ALGORITHM, **check_of(SECRET)}
        assert fits(SECRET, description)
        assert not fits(bytes(32), description)
        assert not fits(SECRET, {**description, "mac": "AAAA"})
        assert fits(SECRET, {"algorithm": ALGORITHM})  # without a check it must be taken for right

    def test_a_passphrase_gives_the_key_that_was_made_of_it(self) -> None:
        # PBKDF2 with HMAC-SHA-512; the expected bytes are hashlib's.
        import hashlib

        description = {"passphrase": {"algorithm": "m.pbkdf2", "salt": "MmMsAlty", "iterations": 1000, "bits": 256}}
        expected = hashlib.pbkdf2_hmac("sha512", b"correct horse", b"MmMsAlty", 1000, 32)
        assert secret_of("correct horse", description) == expected

    @pytest.mark.parametrize("iterations", [0, -1, 10**9, "1", None])
    def test_a_description_that_asks_for_endless_work_is_refused(self, iterations: object) -> None:
        description = {"passphrase": {"algorithm": "m.pbkdf2", "salt": "s", "iterations": iterations}}
        with pytest.raises(WrongKey):
            secret_of("words", description)

    @given(st.binary(min_size=16, max_size=16))
    def test_bit_63_is_cleared_and_no_other(self, iv: bytes) -> None:
        difference = int.from_bytes(iv) ^ int.from_bytes(without_bit_63(iv))
        assert difference in (0, 1 << 63)


class TestStoreKey:
    def test_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        key = store_key.load_or_create(tmp_path, store_exists=False)
        file = tmp_path / store_key.FILE
        assert store_key.load_or_create(tmp_path, store_exists=True) == key
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    def test_is_not_made_again_for_an_existing_store(self, tmp_path: Path) -> None:
        with pytest.raises(Broken, match="backup"):
            store_key.load_or_create(tmp_path, store_exists=True)

    def test_shows_nothing_of_itself(self) -> None:
        assert repr(StoreKey(SECRET)) == "StoreKey()"

    def test_opens_what_it_sealed_for_the_same_purpose_only(self) -> None:
        key = StoreKey(SECRET)
        sealed = key.seal(b"secret", "a")
        assert key.open(sealed, "a") == b"secret"
        with pytest.raises(WrongKey):
            key.open(sealed, "b")
        with pytest.raises(WrongKey):
            StoreKey(bytes(32)).open(sealed, "a")
        with pytest.raises(WrongKey):
            key.open(sealed[:-1] + bytes((sealed[-1] ^ 1,)), "a")
        with pytest.raises(WrongKey):
            key.open(b"", "a")

    def test_seals_the_same_thing_differently_each_time(self) -> None:
        assert StoreKey(SECRET).seal(b"x", "a") != StoreKey(SECRET).seal(b"x", "a")

    def test_of_another_length_is_refused(self) -> None:
        with pytest.raises(Broken):
            StoreKey(b64(SECRET).encode())
