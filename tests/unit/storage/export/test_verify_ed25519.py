"""The pure-Python Ed25519 of `verify.py` against RFC 8032 and the `cryptography` package."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.export.verify import BASE, ORDER, P, add, decode_point, encode_point, multiply, signed_by
from tests.examples import tried

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_rfc(name: str) -> None:
    key, message, signature = (bytes.fromhex(text) for text in VECTORS[name])
    assert signed_by(key, message, signature)
    assert by_cryptography(key, message, signature)
    assert not signed_by(key, message + b"x", signature)


def by_cryptography(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@settings(max_examples=tried(25))
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200))
def test_a_signature_of_another_library_holds(seed: bytes, message: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = private.public_key().public_bytes_raw()
    assert signed_by(key, message, private.sign(message))


@settings(max_examples=tried(60))
@given(place=st.integers(0, 96 * 8 - 1), message=st.binary(max_size=20))
def test_a_single_bit_decides_as_in_another_library(place: int, message: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(message).digest())
    whole = bytearray(private.public_key().public_bytes_raw() + private.sign(message))
    whole[place // 8] ^= 1 << place % 8
    key, signature = bytes(whole[:32]), bytes(whole[32:])
    assert signed_by(key, message, signature) is by_cryptography(key, message, signature) is False


def test_a_signature_has_one_form_only() -> None:
    """S beyond the group order is refused, or each signature would have several forms (RFC 8032, 5.1.7)."""
    key, message, signature = (bytes.fromhex(text) for text in VECTORS["2"])
    s = int.from_bytes(signature[32:], "little") + ORDER
    twin = signature[:32] + s.to_bytes(32, "little")
    assert signed_by(key, message, twin) is by_cryptography(key, message, twin) is False


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_wrong_length_never_holds(length: int) -> None:
    key, message, signature = (bytes.fromhex(text) for text in VECTORS["2"])
    assert not signed_by((key * 3)[:length], message, signature)
    assert length == 64 or not signed_by(key, message, (signature * 2)[:length])


def test_points() -> None:
    """Invalid points, and points not in the canonical encoding, are refused (RFC 8032, 5.1.3)."""
    assert encode_point(multiply(ORDER, BASE)) == encode_point((0, 1, 1, 0))
    assert encode_point(add(BASE, (0, 1, 1, 0))) == encode_point(BASE)
    assert decode_point((P + 1).to_bytes(32, "little")) is None  # y not below p
    assert decode_point((1 | 1 << 255).to_bytes(32, "little")) is None  # x = 0 has no sign
    assert decode_point((2).to_bytes(32, "little")) is None  # on no curve
