"""Secrets at the homeserver, encrypted with a key that only people have: the recovery key, or a passphrase.

Rules this module keeps:
- A key is checked before anything is read or written with it.
- An altered secret is refused.
- The recovery key is returned once and stored nowhere.
- Existing keys stay usable: a new default key is made only on request.
Left to others: the purpose of the secrets (`cross_signing.py`, `key_backup.py`, `set_up.py`).

Specification: client-server API v1.19, "Secrets", "Storage", "m.secret_storage.v1.aes-hmac-sha2", "Deriving keys from
passphrases".
"""

import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from . import recovery_key
from .encoding import MalformedKey, Object, b64, object_of, text_of, unb64
from .errors import NotTrusted, WrongKey
from .requests import Requests

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
DEFAULT = "m.secret_storage.default_key"
_DESCRIPTION = "m.secret_storage.key."
_IV = 16
_MOST_ITERATIONS = 10_000_000  # a server could ask for years of work


@dataclass(frozen=True, slots=True)
class StorageKey:
    """A key of secret storage, with its id there."""

    id: str
    secret: bytes = field(repr=False)

    @property
    def recovery_key(self) -> str:
        """The recovery key, for people to write down."""
        return recovery_key.encode(self.secret)


class SecretStorage:
    """The secret storage of one account."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def default_id(self) -> str | None:
        """Return the id of the default key; None if there is no secret storage."""
        found = await self._requests.account_data(DEFAULT)
        id = (found or {}).get("key")
        return id if isinstance(id, str) and id else None

    async def create(self, name: str = "") -> StorageKey:
        """Create a key, which is the default key from now on.

        Secrets stored for the old key stay with the old key.
        """
        key = StorageKey(secrets.token_hex(16), secrets.token_bytes(recovery_key.KEY_BYTES))
        description = {"algorithm": ALGORITHM, **({"name": name} if name else {}), **check_of(key.secret)}
        await self._requests.set_account_data(_DESCRIPTION + key.id, description)
        await self._requests.set_account_data(DEFAULT, {"key": key.id})
        return key

    async def open(self, words: str) -> StorageKey:
        """Return the default key, given the recovery key or the passphrase. Raises `WrongKey`."""
        id = await self.default_id()
        if id is None:
            raise WrongKey("this account has no secret storage")
        description = await self._requests.account_data(_DESCRIPTION + id) or {}
        if description.get("algorithm") != ALGORITHM:
            raise WrongKey("the secret storage of this account is of a kind that is not known here")
        secret = secret_of(words, description)
        if not fits(secret, description):
            raise WrongKey("this key does not open the secret storage of this account")
        return StorageKey(id, secret)

    async def put(self, key: StorageKey, name: str, secret: str) -> None:
        """Store a secret for this key only."""
        await self._requests.set_account_data(name, {"encrypted": {key.id: encrypt(key.secret, name, secret)}})

    async def get(self, key: StorageKey, name: str) -> str | None:
        """Return a secret; None if it is not stored for this key. Raises `NotTrusted` if it was altered."""
        stored = object_of((await self._requests.account_data(name) or {}).get("encrypted")).get(key.id)
        return None if stored is None else decrypt(key.secret, name, object_of(stored))


def secret_of(words: str, description: Object) -> bytes:
    """Return the key's bytes from what a person typed: a recovery key, or the passphrase if there is one.

    Raises `WrongKey`.
    """
    passphrase = object_of(description.get("passphrase"))
    try:
        return recovery_key.decode(words)
    except WrongKey:
        if passphrase.get("algorithm") != "m.pbkdf2":
            raise
    salt, iterations, bits = passphrase.get("salt"), passphrase.get("iterations"), passphrase.get("bits", 256)
    if (
        not isinstance(salt, str)
        or not isinstance(iterations, int)
        or not 0 < iterations <= _MOST_ITERATIONS
        or bits != 256
    ):
        raise WrongKey("the passphrase of this account is of a kind that is not known here")
    return PBKDF2HMAC(SHA512(), 32, salt.encode(), iterations).derive(words.encode())


def check_of(secret: bytes, iv: bytes | None = None) -> dict[str, str]:
    """Return the check in a key's description, by which the key can be recognised."""
    sealed = _seal(secret, "", bytes(32), iv)
    return {"iv": sealed["iv"], "mac": sealed["mac"]}


def fits(secret: bytes, description: Object) -> bool:
    """Tell whether the key fits its description; without a check it does, as the specification says."""
    if "iv" not in description or "mac" not in description:
        return True
    try:
        expected = check_of(secret, unb64(description["iv"], _IV))
        return hmac.compare_digest(unb64(expected["mac"]), unb64(description["mac"]))
    except MalformedKey:
        return False


def encrypt(secret: bytes, name: str, text: str, iv: bytes | None = None) -> dict[str, str]:
    """Encrypt the secret called `name`."""
    return _seal(secret, name, text.encode(), iv)


def decrypt(secret: bytes, name: str, sealed: Object) -> str:
    """Decrypt the secret called `name`. Raises `NotTrusted` if it was altered or is another secret."""
    try:
        iv, data, mac = (unb64(text_of(sealed, part)) for part in ("iv", "ciphertext", "mac"))
        cipher_key, mac_key = _keys(secret, name)
        if not hmac.compare_digest(hmac.digest(mac_key, data, "sha256"), mac):
            raise MalformedKey("its authentication code is wrong")
        return _ctr(cipher_key, iv, data).decode()
    except ValueError as error:  # `MalformedKey` is one, and so is text that is not UTF-8
        raise NotTrusted(f"the secret {name} cannot be read: {error}") from None


def _seal(secret: bytes, name: str, data: bytes, iv: bytes | None) -> dict[str, str]:
    iv = iv or without_bit_63(secrets.token_bytes(_IV))
    cipher_key, mac_key = _keys(secret, name)
    sealed = _ctr(cipher_key, iv, data)
    return {"iv": b64(iv), "ciphertext": b64(sealed), "mac": b64(hmac.digest(mac_key, sealed, "sha256"))}


def without_bit_63(iv: bytes) -> bytes:
    """Clear the upper bit of the counter, since some implementations count in 64 bits only."""
    return iv[:8] + bytes((iv[8] & 0x7F,)) + iv[9:]


def _keys(secret: bytes, name: str) -> tuple[bytes, bytes]:
    both = HKDF(SHA256(), 64, bytes(32), name.encode()).derive(secret)
    return both[:32], both[32:]


def _ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(AES(key), CTR(iv)).encryptor().update(data)
