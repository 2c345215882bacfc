"""Messages from other devices to ours: room keys, reasons why there is none, requests for keys, verification.

Rules this module keeps:
- A message is processed once, however often it is delivered.
- A malformed or untrustworthy message changes nothing and does not stop the others.
- A forwarded key is accepted only if we asked for it, and only from a device of our own that we signed.
- Our keys are forwarded only to such devices.
Left to others: the transaction around all this (`machine.py`), the steps of a verification (`sas.py`).

Specification: client-server API v1.19, "Send-to-Device messaging", "Key requests", "m.room_key",
"m.forwarded_room_key", "Reporting that decryption keys are withheld".
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import devices, outbound, undecrypted_events
from .account import MEGOLM, AccountKeys
from .devices import Device
from .encoding import MalformedKey, Object, object_of, stored, text_of
from .olm import DecryptedMessage, DecryptionFailed, Olm
from .room_keys import RoomKey, RoomKeys, exported_fields
from .store import Db
from .tables import OWED

REMEMBERED = 10_000  # messages that are recognised if delivered again; a sync brings at most some hundreds
VERIFICATION = "m.key.verification."


@dataclass(frozen=True, slots=True)
class ToDevice:
    """A message of a verification; `device` is known only if it came encrypted."""

    sender: str
    type: str
    content: Mapping[str, Any] = field(repr=False)
    device: str = ""


@dataclass(slots=True)
class Heard:
    """The results of a batch of messages."""

    keys: list[tuple[str, str]] = field(default_factory=list)  # room and session
    withheld: list[tuple[str, str]] = field(default_factory=list)
    verification: list[ToDevice] = field(default_factory=list)
    unreadable: int = 0


class Inbox:
    """Processes messages to our device."""

    def __init__(self, olm: Olm, keys: RoomKeys) -> None:
        self._olm = olm
        self._keys = keys
        self._plain: Mapping[str, Callable[[Db, AccountKeys, str, Object, int, Heard], None]] = {
            "m.room_key.withheld": self._withheld,
            "m.room_key_request": self._request,
        }
        self._sealed: Mapping[str, Callable[[Db, AccountKeys, DecryptedMessage, int, Heard], None]] = {
            "m.room_key": self._room_key,
            "m.forwarded_room_key": self._forwarded,
        }

    def take(self, db: Db, us: AccountKeys, events: tuple[object, ...], now_ms: int) -> Heard:
        """Process the messages of one sync."""
        heard = Heard()
        for event in events:
            raw = object_of(event)
            sender, kind, content = raw.get("sender"), raw.get("type"), object_of(raw.get("content"))
            if not isinstance(sender, str) or not isinstance(kind, str) or not _first_time(db, raw):
                continue
            if kind == "m.room.encrypted":
                self._open(db, us, sender, content, now_ms, heard)
            elif kind.startswith(VERIFICATION):
                heard.verification.append(ToDevice(sender, kind, content))
            elif (do := self._plain.get(kind)) is not None:
                do(db, us, sender, content, now_ms, heard)
        _forget_old(db)
        return heard

    def _open(self, db: Db, us: AccountKeys, sender: str, content: Object, now_ms: int, heard: Heard) -> None:
        try:
            opened = self._olm.open(db, sender, content, now_ms)
        except DecryptionFailed:
            heard.unreadable += 1
            self._olm.mark_wedged(db, sender, content.get("sender_key"), now_ms)
            return
        if opened.type.startswith(VERIFICATION):
            device = devices.by_key(db, sender, opened.sender_key)
            heard.verification.append(ToDevice(sender, opened.type, opened.content, device.device if device else ""))
        elif (do := self._sealed.get(opened.type)) is not None:
            do(db, us, opened, now_ms, heard)

    # Keys

    def _room_key(self, db: Db, us: AccountKeys, opened: DecryptedMessage, now_ms: int, heard: Heard) -> None:
        try:
            key = _read_key(opened.content, exported=False, source="olm", opened=opened)
        except MalformedKey:
            return
        devices.track(db, [opened.sender])  # to find out whose device it is
        self._add(db, us, key, now_ms, heard)

    def _forwarded(self, db: Db, us: AccountKeys, opened: DecryptedMessage, now_ms: int, heard: Heard) -> None:
        device = devices.by_key(db, opened.sender, opened.sender_key)
        if device is None or device.user != us.user or not device.signed or device.gone:
            return
        try:
            key = _read_key(opened.content, exported=True, source="forwarded", opened=opened)
        except MalformedKey:
            return
        if undecrypted_events.asked_for(db, key.room, key.session) is not None:
            self._add(db, us, key, now_ms, heard)

    def _add(self, db: Db, us: AccountKeys, key: RoomKey, now_ms: int, heard: Heard) -> None:
        if not self._keys.add(db, key, now_ms):
            return
        heard.keys.append((key.room, key.session))
        cancelled = undecrypted_events.close_key_request(db, key.room, key.session, us.device)
        if cancelled is not None:
            outbound.put_raw(db, "m.room_key_request", {us.user: {"*": cancelled}})

    # Messages in the clear

    def _withheld(self, db: Db, _us: AccountKeys, sender: str, content: Object, now_ms: int, heard: Heard) -> None:
        about = undecrypted_events.note_withheld(db, sender, content, now_ms)
        if about is not None:
            heard.withheld.append(about)
        elif content.get("code") == outbound.NO_OLM:  # it has no session with us: begin one that it can use
            self._olm.mark_wedged(db, sender, content.get("sender_key"), now_ms)

    def _request(self, db: Db, us: AccountKeys, sender: str, content: Object, now_ms: int, _heard: Heard) -> None:
        """Answer another device of ours that asks for a key. Nobody else gets one."""
        body = object_of(content.get("body"))
        id = content.get("requesting_device_id")
        if sender != us.user or content.get("action") != "request" or not isinstance(id, str) or id == us.device:
            return
        device = devices.one(db, sender, id)
        if device is None or device.gone or not device.signed or body.get("algorithm") != MEGOLM:
            return
        self._hand_on(db, us, device, (str(body.get("room_id", "")), str(body.get("session_id", ""))), now_ms)

    def pay(self, db: Db, us: AccountKeys, now_ms: int) -> None:
        """Send keys that devices asked for when there was no session with them."""
        for id, room, session in db.execute("SELECT device, room, session FROM owed").fetchall():
            device = devices.one(db, us.user, id)
            if device is None or device.gone or not device.signed:
                db.execute("DELETE FROM owed WHERE device = ?", (id,))
            elif self._olm.has_session(db, device.curve25519):
                db.execute("DELETE FROM owed WHERE device = ? AND room = ? AND session = ?", (id, room, session))
                self._hand_on(db, us, device, (room, session), now_ms)

    def _hand_on(self, db: Db, us: AccountKeys, device: Device, which: tuple[str, str], now_ms: int) -> None:
        key = self._keys.export(db, *which)
        if key is None:
            return
        fields = exported_fields(key)
        claimed = fields.pop("sender_claimed_keys").get("ed25519", "")
        content = {
            **fields,
            "forwarding_curve25519_key_chain": [] if key.source == "own" else [*key.chain, us.curve25519],
            "room_id": key.room,
            "session_id": key.session,
            "sender_claimed_ed25519_key": claimed,
        }
        message = self._olm.seal(db, device, "m.forwarded_room_key", content)
        if message is None:
            db.execute(OWED.insert_if_new(), (device.device, *which))
            self._olm.mark_wedged(db, device.user, device.curve25519, now_ms)
            return
        outbound.put(db, "m.room.encrypted", [(device, message)])


def _read_key(content: Object, *, exported: bool, source: str, opened: DecryptedMessage) -> RoomKey:
    if content.get("algorithm") != MEGOLM:
        raise MalformedKey("a key of no room")
    chain = content.get("forwarding_curve25519_key_chain") if exported else ()
    shared = content.get("shared_history", content.get("org.matrix.msc3061.shared_history"))
    return RoomKey(
        room=text_of(content, "room_id"),
        session=text_of(content, "session_id"),
        key=text_of(content, "session_key"),
        exported=exported,
        source=source,  # type: ignore[arg-type]
        sender="" if exported else opened.sender,
        sender_key=text_of(content, "sender_key") if exported else opened.sender_key,
        ed25519=text_of(content, "sender_claimed_ed25519_key") if exported else opened.ed25519,
        chain=tuple(each for each in chain if isinstance(each, str)) if isinstance(chain, list) else (),
        shared_history=shared is True,
    )


def _first_time(db: Db, raw: Object) -> bool:
    try:
        digest = hashlib.sha256(stored(raw).encode()).digest()
    except MalformedKey:
        return False
    done = db.execute(
        "INSERT INTO seen_to_device (digest, number)"
        " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM seen_to_device)) ON CONFLICT DO NOTHING",
        (digest,),
    )
    return done.rowcount > 0


def _forget_old(db: Db) -> None:
    db.execute("DELETE FROM seen_to_device WHERE number <= (SELECT max(number) FROM seen_to_device) - ?", (REMEMBERED,))
