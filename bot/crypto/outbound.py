"""Encryption for rooms: one group session at a time for each room, and the devices that were given its key.

Rules this module keeps:
- A session is replaced if the room's settings require it, if a member has left, if a device with the key is gone or may
  no longer have it, or if the room's history becomes readable or unreadable to newcomers.
- The ratchet is on disk before an encrypted event is returned.
- A leader uses no session of an earlier epoch, of which the database may have lost the end (`discard_all`).
- A device gets the key from the next message on.
- A device that gets no key is told why, once for each session.
- Our own other devices get the key only if we signed them.
Left to others: who is a member (the caller), sessions with devices (`olm.py`), the order of requests (`machine.py`).

Specification: client-server API v1.19, "m.megolm.v1.aes-sha2", "m.room.encryption", "Recommended client behaviour".
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import vodozemac

from . import devices
from .account import MEGOLM, AccountKeys
from .devices import Device
from .encoding import Object
from .olm import Olm
from .room_keys import RoomKey, RoomKeys
from .store import Db, Store
from .tables import GROUP_SESSIONS, SHARES

# Sent in the clear by every client: their relations are in the clear anyway, and a redaction must be.
IN_THE_CLEAR = frozenset({"m.reaction", "m.room.redaction"})
UNVERIFIED, NO_OLM = "m.unverified", "m.no_olm"
_GIVEN, _UNDER_WAY = "given", "under-way"
_AT_ONCE = 20  # devices in one request: an encrypted key is about 2 KB
_ROTATION_MS, _ROTATION_MESSAGES = 7 * 86_400_000, 100  # the specification's defaults
_LEAST_MS, _MOST_MS = 3_600_000, 365 * 86_400_000
_MOST_MESSAGES = 10_000


class Discarded(Exception):
    """Raised if the session was dropped while it was shared, as somebody left: get the members, encrypt again."""


class Recipients(StrEnum):
    """The devices of the members that get keys."""

    ALL = "all"
    SIGNED = "signed"  # only those that their owners signed


@dataclass(frozen=True, slots=True)
class RoomEncryption:
    """The encryption of a room: its `m.room.encryption` settings, and whether newcomers may read the history."""

    rotation_ms: int = _ROTATION_MS
    rotation_messages: int = _ROTATION_MESSAGES
    shared_history: bool = False

    @classmethod
    def of(cls, encryption: Object, visibility: str = "joined") -> "RoomEncryption":
        """Read the content of `m.room.encryption` and the room's history visibility. Never raises."""
        return cls(
            _within(encryption.get("rotation_period_ms"), _ROTATION_MS, _LEAST_MS, _MOST_MS),
            _within(encryption.get("rotation_period_msgs"), _ROTATION_MESSAGES, 1, _MOST_MESSAGES),
            visibility in ("shared", "world_readable"),
        )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to /sendToDevice that stays in the store until it is done."""

    number: int
    txn: str
    type: str
    messages: Mapping[str, Any]


class Outbound:
    """The group sessions with which we encrypt."""

    def __init__(self, store: Store, olm: Olm, keys: RoomKeys, recipients: Recipients) -> None:
        self._store = store
        self._olm = olm
        self._keys = keys
        self._recipients = recipients

    # Sessions

    def prepare(
        self, db: Db, us: AccountKeys, room: str, members: Collection[str], how: RoomEncryption, now_ms: int
    ) -> str:
        """Return the id of the session to use now; begin a new one if the old one may no longer be used."""
        row = db.execute(
            "SELECT session, made_ms, messages, shared_history, members FROM group_sessions WHERE room = ?", (room,)
        ).fetchone()
        if row is not None:
            session, made_ms, messages, shared, before = row
            fresh = messages < how.rotation_messages and 0 <= now_ms - made_ms < how.rotation_ms
            gone = set(orjson.loads(before)) - set(members)
            if fresh and not gone and bool(shared) == how.shared_history and not self._reaches_too_far(db, us, session):
                self._note_members(db, room, members)
                return str(session)
        return self._begin(db, us, room, members, how, now_ms)

    def discard(self, db: Db, room: str) -> None:
        """Drop the room's session, so that the next message uses a new one."""
        db.execute("DELETE FROM shares WHERE session IN (SELECT session FROM group_sessions WHERE room = ?)", (room,))
        db.execute("DELETE FROM group_sessions WHERE room = ?", (room,))

    def _begin(
        self, db: Db, us: AccountKeys, room: str, members: Collection[str], how: RoomEncryption, now_ms: int
    ) -> str:
        self.discard(db, room)
        session = vodozemac.GroupSession()
        own = RoomKey(
            room=room,
            session=session.session_id,
            key=session.session_key.to_base64(),
            exported=False,
            source="own",
            sender=us.user,
            sender_key=us.curve25519,
            ed25519=us.ed25519,
            shared_history=how.shared_history,
        )
        self._keys.add(db, own, now_ms)
        db.execute(
            GROUP_SESSIONS.insert(),
            (room, own.session, session.pickle(self._store.pickle_key), now_ms, 0, int(how.shared_history), "[]"),
        )
        self._note_members(db, room, members)
        return own.session

    def _note_members(self, db: Db, room: str, members: Collection[str]) -> None:
        db.execute(
            "UPDATE group_sessions SET members = ? WHERE room = ?", (orjson.dumps(sorted(members)).decode(), room)
        )

    def _reaches_too_far(self, db: Db, us: AccountKeys, session: str) -> bool:
        """Tell whether a device that has the key would not get it now."""
        row = db.execute(
            'SELECT 1 FROM shares LEFT JOIN devices USING ("user", device) WHERE session = ? AND code IN (?, ?)'
            " AND (gone IS NULL OR gone = 1 OR devices.curve25519 <> shares.curve25519"
            ' OR NOT (signed = 1 OR (? = 1 AND "user" <> ?)))',
            (session, _GIVEN, _UNDER_WAY, int(self._recipients is Recipients.ALL), us.user),
        ).fetchone()
        return row is not None

    # Who gets the key

    def _may_have(self, us: AccountKeys, device: Device) -> bool:
        return device.signed or (self._recipients is Recipients.ALL and device.user != us.user)

    def _unsettled(self, db: Db, us: AccountKeys, session: str, members: Collection[str]) -> list[Device]:
        """Return the members' and our other devices that neither have the key nor were told why they get none."""
        found = devices.among(
            db,
            {*members, us.user},
            'NOT EXISTS (SELECT 1 FROM shares WHERE session = ? AND shares."user" = devices."user"'
            " AND shares.device = devices.device AND NOT (code = ? AND signed = 1))",
            (session, UNVERIFIED),
        )
        return [each for each in found if (each.user, each.device) != (us.user, us.device)]

    def without_session(self, db: Db, us: AccountKeys, session: str, members: Collection[str]) -> list[Device]:
        """Return devices that should get the key but with which we have no session yet: claim a key of each."""
        return [
            each
            for each in self._unsettled(db, us, session, members)
            if self._may_have(us, each) and not self._olm.has_session(db, each.curve25519)
        ]

    def share(
        self,
        db: Db,
        us: AccountKeys,
        room: str,
        session: str,
        members: Collection[str],
        mute: Collection[tuple[str, str]],
    ) -> None:
        """Queue the key in `outgoing` for every device that should have it but does not; tell the others why not.

        `mute` are devices that had no key to claim and were told so a while ago. Raises `Discarded`.
        """
        content = self._room_key(db, room, session)
        sealed: list[tuple[Device, dict[str, Any]]] = []
        refused: list[tuple[Device, str]] = []
        for device in self._unsettled(db, us, session, members):
            if not self._may_have(us, device):
                refused.append((device, UNVERIFIED))
            elif (message := self._olm.seal(db, device, "m.room_key", content)) is not None:
                sealed.append((device, message))
            elif (device.user, device.device) not in mute:
                refused.append((device, NO_OLM))
        for start in range(0, len(sealed), _AT_ONCE):
            put(db, "m.room.encrypted", sealed[start : start + _AT_ONCE], session)
        self._withhold(db, us, room, session, refused)
        _settle(db, session, [(device, _UNDER_WAY) for device, _ in sealed])

    def _withhold(
        self, db: Db, us: AccountKeys, room: str, session: str, refused: Sequence[tuple[Device, str]]
    ) -> None:
        said = [(device, _withheld(us, room, session, code)) for device, code in refused]
        for start in range(0, len(said), _AT_ONCE):
            put(db, "m.room_key.withheld", said[start : start + _AT_ONCE], session)
        # A device without a one-time key may have one later: this is not final.
        _settle(db, session, [(device, code) for device, code in refused if code != NO_OLM])

    def given(self, db: Db, session: str) -> None:
        """Note that queued keys have arrived at the homeserver."""
        db.execute("UPDATE shares SET code = ? WHERE session = ? AND code = ?", (_GIVEN, session, _UNDER_WAY))

    def _room_key(self, db: Db, room: str, session: str) -> dict[str, Any]:
        group, _, shared = self._load(db, room, session)
        return {
            "algorithm": MEGOLM,
            "room_id": room,
            "session_id": session,
            "session_key": group.session_key.to_base64(),  # its present state: earlier messages stay unreadable
            "shared_history": shared,
            "org.matrix.msc3061.shared_history": shared,
        }

    def _load(self, db: Db, room: str, session: str) -> tuple[vodozemac.GroupSession, int, bool]:
        """Return a session, how many messages were encrypted with it, and whether its history is shared."""
        row = db.execute(
            "SELECT pickle, messages, shared_history FROM group_sessions WHERE room = ? AND session = ?",
            (room, session),
        ).fetchone()
        if row is None:
            raise Discarded
        pickle, messages, shared = row
        return vodozemac.GroupSession.from_pickle(pickle, self._store.pickle_key), messages, bool(shared)

    # Encrypting

    def encrypt(self, db: Db, us: AccountKeys, room: str, session: str, type: str, content: Object) -> dict[str, Any]:
        """Encrypt an event. Returns the content of the `m.room.encrypted` event. Raises `Discarded`."""
        group, messages, _ = self._load(db, room, session)
        relation = content.get("m.relates_to")
        inside = {"type": type, "content": {k: v for k, v in content.items() if k != "m.relates_to"}, "room_id": room}
        ciphertext = group.encrypt(orjson.dumps(inside)).to_base64()
        db.execute(
            "UPDATE group_sessions SET pickle = ?, messages = ? WHERE room = ?",
            (group.pickle(self._store.pickle_key), messages + 1, room),
        )
        return {
            "algorithm": MEGOLM,
            "sender_key": us.curve25519,  # this and the next are deprecated, but older clients need them
            "device_id": us.device,
            "session_id": session,
            "ciphertext": ciphertext,
            **({"m.relates_to": relation} if relation is not None else {}),
        }


def discard_all(db: Db) -> None:
    """Drop the sessions of all rooms. Keys that wait to be sent are sent, since they open what was said."""
    db.execute("DELETE FROM shares")
    db.execute("DELETE FROM group_sessions")


# Requests that wait to be sent to devices.


def put(db: Db, type: str, messages: Sequence[tuple[Device, Object]], session: str = "") -> None:
    """Queue one request with a message to each of these devices."""
    if not messages:
        return
    by_user: dict[str, dict[str, Any]] = {}
    for device, content in messages:
        by_user.setdefault(device.user, {})[device.device] = content
    put_raw(db, type, by_user, session)


def put_raw(db: Db, type: str, messages: Object, session: str = "") -> None:
    """Queue one request; `messages` by user and device."""
    db.execute(
        "INSERT INTO outgoing (number, txn, type, messages, session)"
        " VALUES ((SELECT coalesce(max(number), 0) + 1 FROM outgoing), ?, ?, ?, ?)",
        (secrets.token_hex(16), type, orjson.dumps(messages), session),
    )


def waiting_requests(db: Db, session: str | None = None) -> list[Outgoing]:
    """Return the requests to send, oldest first; only those of `session`, if given."""
    which = "" if session is None else " WHERE session = ?"
    query = f"SELECT number, txn, type, messages FROM outgoing{which} ORDER BY number"  # noqa: S608 - our words
    rows = db.execute(query, () if session is None else (session,))
    return [Outgoing(number, txn, type, orjson.loads(messages)) for number, txn, type, messages in rows]


def remove_request(db: Db, outgoing: Outgoing) -> None:
    """Remove a request that the homeserver has accepted or will never accept."""
    db.execute("DELETE FROM outgoing WHERE number = ?", (outgoing.number,))


def _settle(db: Db, session: str, settled: Sequence[tuple[Device, str]]) -> None:
    db.executemany(
        SHARES.put(),
        [(session, device.user, device.device, device.curve25519, code) for device, code in settled],
    )


def _withheld(us: AccountKeys, room: str, session: str, code: str) -> dict[str, Any]:
    about = {} if code == NO_OLM else {"room_id": room, "session_id": session}
    return {"algorithm": MEGOLM, "code": code, "sender_key": us.curve25519, **about}


def _within(value: object, default: int, least: int, most: int) -> int:
    return min(max(value, least), most) if isinstance(value, int) and not isinstance(value, bool) else default
