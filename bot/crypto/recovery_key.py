"""The recovery key: thirty-two bytes in a form that people can write down.

A mistyped key is detected (a parity byte, a fixed length), and reported without repeating it.

Specification: appendices v1.19, "Cryptographic key representation".
"""

from functools import reduce
from operator import xor

from .errors import WrongKey

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_HEAD = bytes((0x8B, 0x01))
KEY_BYTES = 32


def encode(key: bytes) -> str:
    """Return the key as groups of four letters."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    data = _HEAD + key
    text = _base58(data + bytes((reduce(xor, data),)))
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def decode(text: str) -> bytes:
    """Read a key. Raises `WrongKey` for anything else, saying what is wrong with it."""
    letters = "".join(text.split())
    if any(letter not in _ALPHABET for letter in letters):
        raise WrongKey("a recovery key has only letters and digits, and none of 0, O, I, l")
    data = _bytes(letters)
    if len(data) != len(_HEAD) + KEY_BYTES + 1:
        raise WrongKey("the recovery key is too short or too long: a group is missing, or there is one too many")
    if not data.startswith(_HEAD) or reduce(xor, data) != 0:
        raise WrongKey("the recovery key has a letter wrong")
    return data[len(_HEAD) : -1]


def _base58(data: bytes) -> str:
    number, letters = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        letters = _ALPHABET[rest] + letters
    return letters  # the head is not 0, so no leading zeros are lost


def _bytes(letters: str) -> bytes:
    number = 0
    for letter in letters:
        number = number * 58 + _ALPHABET.index(letter)
    return number.to_bytes((number.bit_length() + 7) // 8)
