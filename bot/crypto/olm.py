"""Messages from one device to another: Olm sessions in the store, and the checks on their contents.

Rules this module keeps:
- An inbound session is stored only once a message was read with it.
- The ratchet that encrypted a message is on disk before the message leaves.
- Sender, recipient and all keys inside a message are compared with those around it.
- A message can raise only `DecryptionFailed`.
- If messages of a device cannot be read, a new session with it is begun, at most once an hour.
Left to others: what the messages say (`to_device.py`), claiming keys (`machine.py`).

Specification: client-server API v1.19, "m.olm.v1.curve25519-aes-sha2".
"""

from dataclasses import dataclass
from typing import Any

import orjson
import vodozemac

from . import devices
from .account import OLM, AccountKeys, OurDevice
from .devices import Device
from .encoding import MalformedKey, Object, b64, object_of, parse, text_of, unb64
from .signing import ED25519, is_signed
from .store import Db, Store
from .tables import OLM_SESSIONS, WEDGED

SESSIONS_KEPT = 5  # for each device; the specification asks for four
UNWEDGE_EVERY_MS = 3_600_000
_PRE_KEY, _NORMAL = 0, 1
_PUT_SESSION, _PUT_WEDGED = OLM_SESSIONS.put(), WEDGED.put()


class DecryptionFailed(Exception):
    """Raised for a message that cannot be read or must not be trusted."""


@dataclass(frozen=True, slots=True)
class DecryptedMessage:
    """The contents of a message, and the keys of its sender."""

    sender: str
    sender_key: str
    ed25519: str  # claimed inside the encrypted part
    type: str
    content: dict[str, Any]


class Olm:
    """The sessions of our device."""

    def __init__(self, store: Store, ours: OurDevice) -> None:
        self._store = store
        self._ours = ours

    # Reading

    def open(self, db: Db, sender: str, content: Object, now_ms: int) -> DecryptedMessage:
        """Read an `m.room.encrypted` message that came to our device. Raises `DecryptionFailed`."""
        us = self._ours.identity(db)
        try:
            sender_key = text_of(content, "sender_key")
            unb64(sender_key, 32)
            mine = object_of(object_of(content.get("ciphertext")).get(us.curve25519))
            message = _message(mine)
        except MalformedKey as error:
            raise DecryptionFailed(str(error)) from None
        plain = self._with_known(db, sender_key, message, now_ms)
        if plain is None:
            plain = self._with_new(db, sender_key, message, now_ms)
        return self._checked(db, sender, sender_key, plain, us.ed25519)

    def _with_known(self, db: Db, sender_key: str, message: vodozemac.AnyOlmMessage, now_ms: int) -> bytes | None:
        pre_key = message.to_pre_key()
        for id, session in self._sessions(db, sender_key):
            belongs = pre_key is not None and session.session_matches(pre_key)
            if pre_key is not None and not belongs:
                continue
            try:
                plain = session.decrypt(message)
            except ValueError:  # all errors of vodozemac are
                if belongs:
                    raise DecryptionFailed("its own session does not open it") from None
                continue
            self._keep(db, sender_key, id, session, heard_ms=now_ms)
            return plain
        return None

    def _with_new(self, db: Db, sender_key: str, message: vodozemac.AnyOlmMessage, now_ms: int) -> bytes:
        pre_key = message.to_pre_key()
        if pre_key is None:
            raise DecryptionFailed("no session opens it")
        account = self._ours.load(db)
        try:
            key = vodozemac.Curve25519PublicKey.from_base64(sender_key)
            session, plain = account.create_inbound_session(key, pre_key)
        except ValueError as error:
            raise DecryptionFailed(f"no session can be made of it: {error}") from None
        self._ours.save(db, account)  # the one-time key is used up
        self._add(db, sender_key, session, now_ms)
        return plain

    def _checked(self, db: Db, sender: str, sender_key: str, plain: bytes, our_key: str) -> DecryptedMessage:
        try:
            inside = parse(plain)
            claimed = text_of(object_of(inside.get("keys")), ED25519)
            if inside.get("sender") != sender or inside.get("recipient") != self._ours.user:
                raise MalformedKey("sent by or to somebody else")
            if object_of(inside.get("recipient_keys")).get(ED25519) != our_key:
                raise MalformedKey("meant for another device")
            device = self._device(db, sender, sender_key, claimed, inside)
            if device is not None and device.ed25519 != claimed:
                raise MalformedKey("it claims a key that is not its device's")
            kind, content = text_of(inside, "type"), object_of(inside.get("content"))
        except MalformedKey as error:
            raise DecryptionFailed(str(error)) from None
        return DecryptedMessage(sender, sender_key, claimed, kind, content)

    def _device(self, db: Db, sender: str, sender_key: str, claimed: str, inside: Object) -> Device | None:
        """Return the device that sent the message, as listed or by the keys it shows itself."""
        shown = inside.get("sender_device_keys", inside.get("org.matrix.msc4147.device_keys"))
        if shown is not None:
            keys = object_of(shown)
            id, halves = text_of(keys, "device_id"), object_of(keys.get("keys"))
            fits = keys.get("user_id") == sender and halves.get(f"curve25519:{id}") == sender_key
            if not fits or halves.get(f"{ED25519}:{id}") != claimed or not is_signed(keys, sender, id, claimed):
                raise MalformedKey("the keys it shows are not its own")
            devices.introduce(db, sender, keys)
        return devices.by_key(db, sender, sender_key)

    # Writing

    def seal(self, db: Db, to: Device, type: str, content: Object) -> dict[str, Any] | None:
        """Return the content of an `m.room.encrypted` message for a device; None if there is no session with it."""
        newest = next(iter(self._sessions(db, to.curve25519)), None)
        if newest is None:
            return None
        id, session = newest
        us = self._ours.identity(db)
        inside = {
            "sender": us.user,
            "sender_device": us.device,
            "keys": {ED25519: us.ed25519},
            "recipient": to.user,
            "recipient_keys": {ED25519: to.ed25519},
            "sender_device_keys": self._ours.keys(db),
            "type": type,
            "content": content,
        }
        kind, body = session.encrypt(orjson.dumps(inside)).to_parts()
        self._keep(db, to.curve25519, id, session)
        return _envelope(us, to, kind, body)

    def has_session(self, db: Db, curve25519: str) -> bool:
        """Tell whether there is a session with the device that has this key."""
        row = db.execute("SELECT 1 FROM olm_sessions WHERE sender_key = ? LIMIT 1", (curve25519,)).fetchone()
        return row is not None

    def begin(self, db: Db, to: Device, one_time_key: Object, now_ms: int) -> bool:
        """Begin a session with a device, using a claimed key. Returns False if the key is not the device's own."""
        if not is_signed(one_time_key, to.user, to.device, to.ed25519):
            return False
        try:
            key = vodozemac.Curve25519PublicKey.from_base64(text_of(one_time_key, "key"))
            theirs = vodozemac.Curve25519PublicKey.from_base64(to.curve25519)
            session = self._ours.load(db).create_outbound_session(theirs, key)
        except ValueError:
            return False
        self._add(db, to.curve25519, session, now_ms)
        return True

    # Repairing

    def mark_wedged(self, db: Db, sender: str, sender_key: object, now_ms: int) -> None:
        """Note that messages of a device cannot be read, so that a session is begun, unless one was within the hour."""
        device = devices.by_key(db, sender, sender_key) if isinstance(sender_key, str) else None
        if device is None or device.gone:
            return
        row = db.execute(
            'SELECT mended_ms FROM wedged WHERE "user" = ? AND device = ?', (sender, device.device)
        ).fetchone()
        mended = row[0] if row else 0
        if now_ms - mended >= UNWEDGE_EVERY_MS:
            db.execute(_PUT_WEDGED, (sender, device.device, 1, mended))

    def wedged(self, db: Db) -> list[Device]:
        """Return the devices with which a new session must be begun."""
        rows = db.execute('SELECT "user", device FROM wedged WHERE waits = 1 ORDER BY "user", device').fetchall()
        found = [devices.one(db, user, device) for user, device in rows]
        return [each for each in found if each is not None and not each.gone]

    def mended(self, db: Db, device: Device, now_ms: int) -> None:
        """Note that a new session was begun or could not be; either way it is not tried again within the hour."""
        db.execute(_PUT_WEDGED, (device.user, device.device, 0, now_ms))

    # The store

    def _sessions(self, db: Db, sender_key: str) -> list[tuple[str, vodozemac.Session]]:
        """Return the sessions with a device, in the order of preference."""
        rows = db.execute(
            "SELECT session, pickle FROM olm_sessions WHERE sender_key = ? ORDER BY heard_ms DESC, session",
            (sender_key,),
        ).fetchall()
        return [(id, vodozemac.Session.from_pickle(pickle, self._store.pickle_key)) for id, pickle in rows]

    def _add(self, db: Db, sender_key: str, session: vodozemac.Session, now_ms: int) -> None:
        db.execute(
            _PUT_SESSION,
            (sender_key, session.session_id, session.pickle(self._store.pickle_key), now_ms, now_ms),
        )
        db.execute(
            "DELETE FROM olm_sessions WHERE sender_key = ? AND session NOT IN"
            " (SELECT session FROM olm_sessions WHERE sender_key = ? ORDER BY heard_ms DESC, made_ms DESC LIMIT ?)",
            (sender_key, sender_key, SESSIONS_KEPT),
        )

    def _keep(self, db: Db, sender_key: str, id: str, session: vodozemac.Session, heard_ms: int | None = None) -> None:
        db.execute(
            "UPDATE olm_sessions SET pickle = ?, heard_ms = coalesce(?, heard_ms) WHERE sender_key = ? AND session = ?",
            (session.pickle(self._store.pickle_key), heard_ms, sender_key, id),
        )


def _message(mine: Object) -> vodozemac.AnyOlmMessage:
    kind, body = mine.get("type"), unb64(mine.get("body"))
    if kind not in (_PRE_KEY, _NORMAL) or isinstance(kind, bool):
        raise MalformedKey("no message for us")
    try:
        return vodozemac.AnyOlmMessage.from_parts(kind, body)
    except ValueError as error:
        raise MalformedKey(str(error)) from None


def _envelope(us: AccountKeys, to: Device, kind: int, body: bytes) -> dict[str, Any]:
    ciphertext = {to.curve25519: {"type": kind, "body": b64(body)}}
    return {"algorithm": OLM, "sender_key": us.curve25519, "ciphertext": ciphertext}
