"""Our device: its identity keys, and the keys with which others open sessions with it.

Rules this module keeps:
- A key is stored before it is uploaded, so that no message can come for a key that we do not have.
- Keys whose upload was not recorded are uploaded again, unchanged.
- There are always enough one-time keys at the homeserver, and a used fallback key is replaced.
Left to others: sessions (`olm.py`), signing the device with the account's keys (`cross_signing.py`).

Specification: client-server API v1.19, "Device keys", "One-time and fallback keys", "Uploading keys".
"""

from dataclasses import dataclass, field
from typing import Any

import vodozemac

from moderation.values.ids import SAFE_INT

from .encoding import MalformedKey, Object, canonical, parse
from .signing import ED25519, to_be_signed, with_signature
from .store import Db, Store, forget, meta, set_meta

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
CURVE = "signed_curve25519"
_FALLBACKS_ANSWERED = 3_600_000  # ms; a fallback key stays in use for a while: at most one new key an hour


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """Our identity towards others: our user, our device, and the public halves of its two keys."""

    user: str
    device: str
    curve25519: str
    ed25519: str


@dataclass(frozen=True, slots=True)
class Upload:
    """The keys that must be uploaded now; `body` is empty if there are none."""

    body: dict[str, Any] = field(repr=False)
    first: bool  # it includes the device's keys themselves


class OurDevice:
    """The account of the Olm protocol, kept in the store."""

    def __init__(self, store: Store, user: str, device: str) -> None:
        self._store = store
        self.user = user
        self.device = device

    def load(self, db: Db) -> vodozemac.Account:
        """Load the account from the store; create it if there is none."""
        pickle = meta(db, "account")
        return vodozemac.Account.from_pickle(pickle, self._store.pickle_key) if pickle is not None else self._make(db)

    def save(self, db: Db, account: vodozemac.Account) -> None:
        """Store the account."""
        set_meta(db, "account", account.pickle(self._store.pickle_key))

    def identity(self, db: Db) -> AccountKeys:
        """Return the public keys."""
        halves = self.keys(db)["keys"]
        return AccountKeys(
            self.user, self.device, halves[f"curve25519:{self.device}"], halves[f"{ED25519}:{self.device}"]
        )

    def is_published(self, db: Db) -> bool:
        """Tell whether we have uploaded the device's keys to the homeserver."""
        return meta(db, "published") is not None

    def keys(self, db: Db) -> dict[str, Any]:
        """Return the device's keys, signed by the device itself and, once it has, by the account's self-signing key."""
        known = meta(db, "device_keys")  # stored as text, since loading the account takes milliseconds
        if known is None:
            self._make(db)
            known = meta(db, "device_keys")
        signed = parse(known or "")
        more = meta(db, "self_signature")
        if more is not None:
            key, _, signature = more.partition(" ")
            signed = with_signature(signed, self.user, key, signature)
        return signed

    def sign(self, db: Db, value: Object) -> dict[str, Any]:
        """Return `value` with the device's own signature."""
        return self._signed(self.load(db), value)

    def _make(self, db: Db) -> vodozemac.Account:
        account = vodozemac.Account()
        keys = {
            "user_id": self.user,
            "device_id": self.device,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"curve25519:{self.device}": account.curve25519_key.to_base64(),
                f"{ED25519}:{self.device}": account.ed25519_key.to_base64(),
            },
        }
        set_meta(db, "device_keys", canonical(self._signed(account, keys)))
        self.save(db, account)
        return account

    def note_self_signature(self, db: Db, key: str, signature: str) -> None:
        """Store the signature of our self-signing key `key` on the device's keys."""
        set_meta(db, "self_signature", f"{key} {signature}")

    # One-time and fallback keys

    def note_counts(self, db: Db, counts: object, unused_fallbacks: object, now_ms: int) -> None:
        """Store how many of our keys are left according to `/sync`. Anything that is not a count is ignored."""
        left = counts.get(CURVE, 0) if isinstance(counts, dict) else None
        is_count = isinstance(left, int) and not isinstance(left, bool) and 0 <= left <= SAFE_INT
        if is_count and str(left) != meta(db, "one_time_keys"):
            set_meta(db, "one_time_keys", str(left))
        if isinstance(unused_fallbacks, list) and CURVE not in unused_fallbacks:
            last = int(meta(db, "fallback_ms") or 0)
            if now_ms - last >= _FALLBACKS_ANSWERED:
                set_meta(db, "fallback_wanted", "1")

    def upload(self, db: Db, now_ms: int) -> Upload:
        """Return what the homeserver lacks. Upload it only after this transaction, which stores the new keys."""
        known = " ".join(str(meta(db, name)) for name in ("published", "one_time_keys", "fallback_wanted"))
        if meta(db, "lacks_nothing") == known:
            return Upload({}, first=False)  # nothing has changed since the account was looked at, so it is not loaded
        account = self.load(db)
        first = not self.is_published(db)
        left = int(meta(db, "one_time_keys") or (0 if first else account.max_number_of_one_time_keys))
        missing = account.max_number_of_one_time_keys - left - len(account.one_time_keys)
        if missing > 0:
            account.generate_one_time_keys(missing)
        if first or meta(db, "fallback_wanted"):
            self._new_fallback(db, account, now_ms)
        self.save(db, account)
        body = self._body(db, account, first)
        if body:
            forget(db, "lacks_nothing")
        else:
            set_meta(db, "lacks_nothing", known)
        return Upload(body, first)

    def uploaded(self, db: Db, counts: object, now_ms: int) -> None:
        """Note that the homeserver has the uploaded keys."""
        account = self.load(db)
        account.mark_keys_as_published()
        self.save(db, account)
        set_meta(db, "published", "1")
        forget(db, "own_at_server")  # until it is fetched again
        self.note_counts(db, counts, None, now_ms)

    def unpublished(self, db: Db) -> None:
        """Note that the homeserver has lost the device's keys, as it does when somebody logs the device out."""
        forget(db, "published")
        forget(db, "one_time_keys")

    def _new_fallback(self, db: Db, account: vodozemac.Account, now_ms: int) -> None:
        if not _unpublished_fallback(account):
            account.generate_fallback_key()  # type: ignore[attr-defined]  # not in its stubs
        forget(db, "fallback_wanted")
        set_meta(db, "fallback_ms", str(now_ms))

    def _body(self, db: Db, account: vodozemac.Account, first: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"device_keys": self.keys(db)} if first else {}
        one_time = {id: {"key": key.to_base64()} for id, key in account.one_time_keys.items()}
        fallback = {id: {"key": key, "fallback": True} for id, key in _unpublished_fallback(account).items()}
        if one_time:
            body["one_time_keys"] = {f"{CURVE}:{id}": self._signed(account, key) for id, key in one_time.items()}
        if fallback:
            body["fallback_keys"] = {f"{CURVE}:{id}": self._signed(account, key) for id, key in fallback.items()}
        return body

    def _signed(self, account: vodozemac.Account, value: Object) -> dict[str, Any]:
        signature = account.sign(to_be_signed(value)).to_base64()
        return with_signature(value, self.user, self.device, signature)


def _unpublished_fallback(account: vodozemac.Account) -> dict[str, str]:
    return {id: key.to_base64() for id, key in account.fallback_key.items()}  # type: ignore[attr-defined]


def first_key(claimed: object) -> dict[str, Any]:
    """Return the one-time key in a device's answer to a claim: ``{"signed_curve25519:AAAA": {...}}``.

    Raises `MalformedKey` if there is none.
    """
    if isinstance(claimed, dict):
        for name, key in claimed.items():
            if str(name).startswith(f"{CURVE}:") and isinstance(key, dict):
                return key
    raise MalformedKey("no one-time key")
