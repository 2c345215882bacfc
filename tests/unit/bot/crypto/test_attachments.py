"""Encrypted files: known vectors, the cipher by another library, and every way of tampering."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st

from bot.crypto.attachments import EncryptedFile, encrypt
from bot.crypto.encoding import MalformedKey, unb64
from bot.crypto.errors import NotTrusted


def described(k: str, iv: str, sha256: str) -> dict[str, Any]:
    key = {"kty": "oct", "alg": "A256CTR", "ext": True, "k": k, "key_ops": ["encrypt", "decrypt"]}
    return {"v": "v2", "url": "mxc://x/y", "key": key, "iv": iv, "hashes": {"sha256": sha256}}


# The vectors with which clients have tested this since it exists.
@pytest.mark.parametrize(
    ("data", "file", "text"),
    [
        (
            "",
            described("A" * 43, "A" * 22, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"),
            "",
        ),
        (
            "5xJZTt5cQicm+9f4",
            described("_" * 42 + "8", "//////////8AAAAAAAAAAA", "YzF08lARDdOCzJpzuSwsjTNlQc4pHxpdHcXiD/wpK6k"),
            "SGVsbG8sIFdvcmxk",
        ),
    ],
)
def test_known_files_are_opened(data: str, file: dict[str, Any], text: str) -> None:
    assert EncryptedFile.of(file).open(unb64(data)) == unb64(text)


@given(st.binary(max_size=3000))
def test_files_are_encrypted_with_aes_ctr_and_a_zero_counter(data: bytes) -> None:
    sealed, file = encrypt(data)
    assert Cipher(AES(file.key), CTR(file.iv)).decryptor().update(sealed) == data
    assert file.iv[8:] == bytes(8)
    assert file.sha256 == hashlib.sha256(sealed).digest()
    assert file.open(sealed) == data


def test_a_file_description_is_read_back_unchanged() -> None:
    _, file = encrypt(b"data")
    file = replace(file, url="mxc://x/y")
    assert EncryptedFile.of(file.content()) == file


def test_two_files_never_share_a_key() -> None:
    one, other = encrypt(b"data")[1], encrypt(b"data")[1]
    assert one.key != other.key and one.iv != other.iv
    assert one.key.hex() not in repr(one)


def test_a_file_that_was_altered_is_not_opened() -> None:
    sealed, file = encrypt(b"twelve bytes")
    for wrong in (sealed[:-1], sealed + b"\0", bytes((sealed[0] ^ 1,)) + sealed[1:], b""):
        with pytest.raises(NotTrusted):
            file.open(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"v": "v1"},
        {"v": None},
        {"url": ""},
        {"key": {}},
        {"key": {"kty": "oct", "alg": "A128CTR", "k": "A" * 43}},
        {"key": {"kty": "oct", "alg": "A256CTR", "k": "AAAA"}},
        {"iv": "AAAA"},
        {"hashes": {}},
        {"hashes": {"sha256": 7}},
        {"hashes": None},
    ],
)
def test_an_invalid_file_description_is_refused(change: dict[str, Any]) -> None:
    file = described("A" * 43, "A" * 22, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
    with pytest.raises(MalformedKey):
        EncryptedFile.of({**file, **change})
