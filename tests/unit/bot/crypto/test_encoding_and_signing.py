"""Base64, canonical JSON and signatures: the specification's own vectors, and what must never verify."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto.encoding import MalformedKey, b64, canonical, unb64
from bot.crypto.signing import SigningKey, is_signed, signature_in, with_signature

# Appendices, "Cryptographic Test Vectors".
KEY = SigningKey(unb64("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", 32))
VECTORS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"),
    (
        {"one": 1, "two": "Two"},
        "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
    ),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(("value", "signature"), VECTORS)
def test_signatures_are_those_of_the_specification(value: dict[str, Any], signature: str) -> None:
    signed = KEY.signed(value, "domain", "1")
    assert signed == {**value, "signatures": {"domain": {"ed25519:1": signature}}}
    assert is_signed(signed, "domain", "1", KEY.public)


# Appendices, "Canonical JSON", examples.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "{}"),
        ({"one": 1, "two": "Two"}, '{"one":1,"two":"Two"}'),
        ({"b": "2", "a": "1"}, '{"a":"1","b":"2"}'),
        ({"a": "日本語"}, '{"a":"日本語"}'),
        ({"本": 2, "日": 1}, '{"日":1,"本":2}'),
        ({"a": None}, '{"a":null}'),
        ({"a": -0, "b": 10_000_000_000}, '{"a":0,"b":10000000000}'),
        ({"\U0001f600": 1, "\ufb01": 2}, '{"\ufb01":2,"\U0001f600":1}'),  # by code point, not by UTF-16 unit
    ],
)
def test_canonical_json_is_that_of_the_specification(value: dict[str, Any], text: str) -> None:
    assert canonical(value) == text.encode()


def test_json_without_a_canonical_form_is_refused() -> None:
    for value in ({"a": 2**53}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises(MalformedKey):
            canonical(value)


class TestBase64:
    def test_is_written_without_padding_and_read_with_or_without_in_both_alphabets(self) -> None:
        assert b64(b"\xfb\xff") == "+/8"
        assert [unb64(text) for text in ("+/8", "+/8=", "-_8")] == [b"\xfb\xff"] * 3

    @pytest.mark.parametrize("text", ["a", "é", "a b=", None, 7, "AAAA\n"])
    def test_of_invalid_form_is_refused(self, text: object) -> None:
        with pytest.raises(MalformedKey):
            unb64(text)

    def test_of_another_length_is_refused(self) -> None:
        with pytest.raises(MalformedKey):
            unb64("AAAA", 32)


class TestSignature:
    def test_covers_all_but_signatures_and_unsigned(self) -> None:
        signed = KEY.signed({"a": 1, "unsigned": {"b": 2}}, "@a:x")
        more = with_signature({**signed, "unsigned": {}}, "@b:x", "k", "s")
        assert is_signed(more, "@a:x", KEY.public, KEY.public)
        assert not is_signed({**more, "a": 2}, "@a:x", KEY.public, KEY.public)
        assert not is_signed({**more, "c": 2}, "@a:x", KEY.public, KEY.public)

    def test_of_another_key_or_user_does_not_count(self) -> None:
        signed, other = KEY.signed({"a": 1}, "@a:x"), SigningKey.new()
        assert not is_signed(signed, "@a:x", KEY.public, other.public)
        assert not is_signed(signed, "@b:x", KEY.public, KEY.public)
        assert signature_in(signed, "@a:x", other.public) is None

    def test_keeps_signatures_that_are_there(self) -> None:
        once = KEY.signed({"a": 1}, "@a:x", "one")
        assert set(KEY.signed(once, "@a:x", "two")["signatures"]["@a:x"]) == {"ed25519:one", "ed25519:two"}

    def test_a_private_key_shows_nothing_of_itself(self) -> None:
        assert b64(KEY.seed) not in repr(KEY)

    @given(st.dictionaries(st.sampled_from(["signatures", "a", "unsigned"]), json_values), st.text())
    def test_checking_never_raises(self, value: dict[str, Any], public: str) -> None:
        assert is_signed(value, "@a:x", "k", public) is False
