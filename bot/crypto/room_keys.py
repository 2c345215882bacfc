"""The room keys: the Megolm sessions with which others (and we) encrypt, and decryption with them.

Rules this module keeps:
- A key is looked up by room and session alone, as the specification requires.
- A key comes in an encrypted message from a device (`olm`), from our other device (`forwarded`), from the backup
  (`backup`) or is our own.
- A key that begins earlier replaces one of the same ratchet; a key of another ratchet never does.
- Only the user who gave us a key may have written with it: an event of somebody else is not read with it.
- An index that was seen with another event is a replay.
- A forwarded key proves nothing about who wrote, and the result says so.
Left to others: getting keys (`to_device.py`, `key_backup.py`), events that wait for one (`undecrypted_events.py`).

Specification: client-server API v1.19, "m.megolm.v1.aes-sha2", "Sharing keys between devices".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import vodozemac

from . import devices
from .account import MEGOLM
from .encoding import MalformedKey, Object, object_of, parse, text_of
from .store import Db, Store
from .tables import ROOM_KEY_SENDERS, ROOM_KEYS, SEEN_INDEXES

Source = Literal["olm", "own", "forwarded", "backup"]
Trust = Literal["own", "signed", "unsigned", "unknown", "handed-on"]
_PROVES_SENDER = ("olm", "own")
_PUT_KEY = ROOM_KEYS.put()
_ADD_SENDER = ROOM_KEY_SENDERS.insert_if_new()
_ADD_INDEX = SEEN_INDEXES.insert_if_new()

MISSING, REPLAYED, NOT_THEIRS, DAMAGED, FOREIGN = "missing", "replayed", "not-theirs", "damaged", "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomKey:
    """A key as it is received or passed on: `key` is a secret."""

    room: str
    session: str
    key: str = field(repr=False)
    exported: bool  # `key` has the form of exports, without the first owner's signature
    source: Source
    sender: str = ""  # the user who gave it to us, if it was the owner
    sender_key: str = ""
    ed25519: str = ""  # claimed
    chain: tuple[str, ...] = ()
    shared_history: bool = False


@dataclass(frozen=True, slots=True)
class Decrypted:
    """A decrypted event: `event` as if sent in the clear, and what is known about its author.

    `trust`: `own`; `signed`, from a device that its user signed; `unsigned`, from a device of the user that is not
    signed; `unknown`, from no device that we know to be the user's by now; `handed-on`, the key came from the backup or
    from our other device.
    """

    event: dict[str, Any] = field(repr=False)
    trust: Trust
    device: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event that cannot be read. `code`: why its sender withholds the key, or one of the words below.

    `missing`: no key yet, the event waits for it; `replayed`: the same ciphertext again; `not-theirs`: the key belongs
    to somebody else; `damaged`: decryption fails; `foreign`: an unknown kind of encryption.
    """

    event: str
    room: str
    session: str
    code: str
    waits: bool = False


class RoomKeys:
    """The room keys in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Storing

    def add(self, db: Db, key: RoomKey, now_ms: int) -> bool:
        """Store a key. Returns False if it is invalid or brings nothing new."""
        try:
            session = _session(key)
        except ValueError:
            return False
        if session.session_id != key.session:
            return False
        before = self._load(db, key.room, key.session)
        better = before is None or (
            _same_ratchet(before, session) and session.first_known_index < before.first_known_index
        )
        if before is not None and not _same_ratchet(before, session):
            return False
        news = self._add_sender(db, key)
        if better:
            self._keep(db, key, session, now_ms)
        elif news:
            self._prove(db, key)
        return better or news

    def _keep(self, db: Db, key: RoomKey, session: vodozemac.InboundGroupSession, now_ms: int) -> None:
        row = db.execute(
            "SELECT source, sender_key, ed25519 FROM room_keys WHERE room = ? AND session = ?", (key.room, key.session)
        ).fetchone()
        proved = row is not None and row[0] in _PROVES_SENDER  # others cannot revoke what its owner said about it
        source, sender_key, signing = row if proved else (key.source, key.sender_key, key.ed25519)
        db.execute(
            _PUT_KEY,
            (
                key.room,
                key.session,
                session.pickle(self._store.pickle_key),
                session.first_known_index,
                source,
                sender_key,
                signing,
                orjson.dumps(key.chain).decode(),
                int(key.shared_history),
                now_ms,
                "",
            ),
        )

    def _prove(self, db: Db, key: RoomKey) -> None:
        """Note that a forwarded key now came from its owner as well."""
        db.execute(
            "UPDATE room_keys SET source = ?, sender_key = ?, ed25519 = ? WHERE room = ? AND session = ?"
            " AND source NOT IN ('olm', 'own')",
            (key.source, key.sender_key, key.ed25519, key.room, key.session),
        )

    def _add_sender(self, db: Db, key: RoomKey) -> bool:
        if not key.sender or key.source not in _PROVES_SENDER:
            return False
        done = db.execute(_ADD_SENDER, (key.room, key.session, key.sender, key.sender_key, key.ed25519))
        return done.rowcount > 0

    def has(self, db: Db, room: str, session: str) -> bool:
        """Tell whether we have the key, from any index on."""
        query = "SELECT 1 FROM room_keys WHERE room = ? AND session = ?"
        return db.execute(query, (room, session)).fetchone() is not None

    # Reading

    def read(self, db: Db, raw: Object, room: str, us: tuple[str, str]) -> Decrypted | Sealed:
        """Decrypt `raw`, an `m.room.encrypted` event of `room`.

        `us` is our user and our curve25519 key.
        """
        content = object_of(raw.get("content"))
        event, sender = str(raw.get("event_id", "")), str(raw.get("sender", ""))
        session_id = content.get("session_id")
        if content.get("algorithm") != MEGOLM or not isinstance(session_id, str):
            return Sealed(event, room, "", FOREIGN)
        session = self._load(db, room, session_id)
        if session is None:
            return Sealed(event, room, session_id, MISSING, waits=True)
        wrote = self._wrote(db, room, session_id, sender, us)
        if wrote is None:
            return Sealed(event, room, session_id, NOT_THEIRS)
        try:
            inside, index = _opened(session, content, room)
        except _Later:
            return Sealed(event, room, session_id, MISSING, waits=True)
        except MalformedKey:
            return Sealed(event, room, session_id, DAMAGED)
        if not _first_seen(db, session_id, index, event):
            return Sealed(event, room, session_id, REPLAYED)
        return Decrypted(_in_the_clear(raw, inside), *wrote)

    def _wrote(self, db: Db, room: str, session: str, sender: str, us: tuple[str, str]) -> tuple[Trust, str] | None:
        """Return what is known about the writing device; None if the key does not belong to `sender`."""
        rows = db.execute(
            "SELECT sender, sender_key, ed25519 FROM room_key_senders WHERE room = ? AND session = ?", (room, session)
        ).fetchall()
        if not rows:
            return ("handed-on", "")
        mine = next(((key, signing) for user, key, signing in rows if user == sender), None)
        if mine is None:
            return None
        if (sender, mine[0]) == us:
            return ("own", "")
        device = devices.by_key(db, sender, mine[0])
        if device is None or device.ed25519 != mine[1]:
            return ("unknown", "")
        if not device.signed and devices.is_stale(db, sender):
            return ("unknown", device.device)  # its owner may have signed it meanwhile
        return ("signed" if device.signed else "unsigned", device.device)

    # Passing on

    def export(self, db: Db, room: str, session: str) -> RoomKey | None:
        """Return a key in the form of exports, or None."""
        rows = list(self._exported(db, "room = ? AND session = ?", (room, session), 1))
        return rows[0][0] if rows else None

    def to_back_up(self, db: Db, version: str, limit: int) -> Sequence[tuple[RoomKey, int]]:
        """Return keys that the backup with this version lacks, each with its first index."""
        return list(self._exported(db, "backed_up <> ?", (version,), limit))

    def backed_up(self, db: Db, version: str, keys: Sequence[tuple[RoomKey, int]]) -> None:
        """Note that the backup has these keys, except those replaced by a better one meanwhile."""
        db.executemany(
            "UPDATE room_keys SET backed_up = ? WHERE room = ? AND session = ? AND first_index = ?",
            [(version, key.room, key.session, index) for key, index in keys],
        )

    def _exported(self, db: Db, where: str, values: tuple[str, ...], limit: int) -> Iterator[tuple[RoomKey, int]]:
        rows = db.execute(
            "SELECT room, session, pickle, source, sender_key, ed25519, chain, shared_history FROM room_keys"  # noqa: S608
            f" WHERE {where} ORDER BY room, session LIMIT ?",
            (*values, limit),
        )
        for room, id, pickle, source, sender_key, signing, chain, shared in rows:
            session = vodozemac.InboundGroupSession.from_pickle(pickle, self._store.pickle_key)
            exported = session.export_at(session.first_known_index)
            assert exported is not None, "a session can be exported from where it begins"
            key = RoomKey(
                room=room,
                session=id,
                key=exported.to_base64(),
                exported=True,
                source=source,
                sender_key=sender_key,
                ed25519=signing,
                chain=tuple(orjson.loads(chain)),
                shared_history=bool(shared),
            )
            yield key, session.first_known_index

    def _load(self, db: Db, room: str, session: str) -> vodozemac.InboundGroupSession | None:
        row = db.execute("SELECT pickle FROM room_keys WHERE room = ? AND session = ?", (room, session)).fetchone()
        return vodozemac.InboundGroupSession.from_pickle(row[0], self._store.pickle_key) if row else None


def exported_fields(key: RoomKey) -> dict[str, Any]:
    """Return a key as written in a backup or when forwarded (`ExportedSessionData` without room and session)."""
    return {
        "algorithm": MEGOLM,
        "forwarding_curve25519_key_chain": list(key.chain),
        "sender_key": key.sender_key,
        "sender_claimed_keys": {"ed25519": key.ed25519} if key.ed25519 else {},
        "session_key": key.key,
        "shared_history": key.shared_history,
    }


class _Later(Exception):
    """Raised if the key begins after this message: an earlier one may come."""


def _session(key: RoomKey) -> vodozemac.InboundGroupSession:
    if key.exported:
        return vodozemac.InboundGroupSession.import_session(vodozemac.ExportedSessionKey(key.key))
    return vodozemac.InboundGroupSession(vodozemac.SessionKey(key.key))


def _same_ratchet(one: vodozemac.InboundGroupSession, other: vodozemac.InboundGroupSession) -> bool:
    at = max(one.first_known_index, other.first_known_index)
    mine, theirs = one.export_at(at), other.export_at(at)
    return mine is not None and theirs is not None and mine.to_base64() == theirs.to_base64()


def _opened(session: vodozemac.InboundGroupSession, content: Object, room: str) -> tuple[dict[str, Any], int]:
    """Decrypt an event. Returns its contents and index. Raises `MalformedKey` or `_Later`."""
    try:
        message = vodozemac.MegolmMessage.from_base64(text_of(content, "ciphertext"))
    except ValueError as error:
        raise MalformedKey(str(error)) from None
    if _index_of(message) < session.first_known_index:
        raise _Later
    try:
        opened = session.decrypt(message)
    except ValueError as error:
        raise MalformedKey(str(error)) from None
    inside = parse(opened.plaintext)
    text_of(inside, "type")
    if inside.get("room_id") != room or not isinstance(inside.get("content"), dict):
        raise MalformedKey("not of this room")
    return inside, opened.message_index


def _index_of(message: vodozemac.MegolmMessage) -> int:
    index: Any = message.message_index  # a property in one release of the bindings, a method in its stubs
    return int(index() if callable(index) else index)


def _first_seen(db: Db, session: str, index: int, event: str) -> bool:
    """Tell whether this message was never seen as another event, and remember it."""
    db.execute(_ADD_INDEX, (session, index, event))
    row = db.execute("SELECT event FROM seen_indexes WHERE session = ? AND number = ?", (session, index)).fetchone()
    return bool(row[0] == event)


def _in_the_clear(raw: Object, inside: Object) -> dict[str, Any]:
    """Return the event as if never encrypted. Its relation is the one outside the ciphertext, even if there is none."""
    content = {name: value for name, value in inside["content"].items() if name != "m.relates_to"}
    outside = object_of(raw.get("content")).get("m.relates_to")
    if outside is not None:
        content["m.relates_to"] = outside
    return {**raw, "type": inside["type"], "content": content}
