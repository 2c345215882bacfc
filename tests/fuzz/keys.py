"""Fuzzing targets of encryption: messages of other devices, and a homeserver's answers about people's keys.

The bot and Ann have a session with each other, so any message of Ann's device, however strange, comes encrypted in a
valid envelope. Both stores are in memory, and every check leaves them unchanged.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any, cast

import orjson
import vodozemac
from hypothesis import strategies as st

from bot.crypto import devices
from bot.crypto.account import MEGOLM, OLM, OurDevice, first_key
from bot.crypto.devices import Device
from bot.crypto.encoding import b64
from bot.crypto.olm import Olm
from bot.crypto.room_keys import RoomKeys
from bot.crypto.store import Db, Store, prepare
from bot.crypto.store_key import StoreKey
from bot.crypto.sync_result import SyncPart
from bot.crypto.to_device import Inbox
from bot.matrix.http import decode
from storage.database.sqlite_small_store import SqliteSmallStore
from tests.fuzz import events
from tests.fuzz.events import ANN, BOT
from tests.fuzz.target import Target
from tests.fuzz.vocabulary import texts

NOW = 1_795_511_540_900
ROOM = "!room:example.org"
ANNS, OURS = "ANNSDEVICE", "OURDEVICE"


class Side:
    """A device whose store is in memory."""

    def __init__(self, user: str, device: str) -> None:
        self.db: Db = SqliteSmallStore(sqlite3.connect(":memory:", isolation_level=None))
        key = StoreKey(bytes(32))
        prepare(self.db, key, user, device)
        self.store = Store(self.db, key, cast(Any, None))
        self.ours = OurDevice(self.store, user, device)
        self.olm = Olm(self.store, self.ours)
        self.keys = RoomKeys(self.store)
        self.inbox = Inbox(self.olm, self.keys)
        self.us = self.ours.identity(self.db)
        self.me = Device(user, device, self.us.curve25519, self.us.ed25519)
        self.published = self.ours.keys(self.db)

    def learn(self, other: "Side") -> Device:
        """Take in the keys of another device, as a homeserver lists them."""
        user = other.us.user
        devices.track(self.db, [user])
        devices.learn(self.db, {user: 1}, {"device_keys": {user: {other.us.device: other.published}}}, self.me)
        found = devices.one(self.db, user, other.us.device)
        assert found is not None
        return found

    def count(self, what: str) -> Any:
        """Return a number from the store."""
        return self.db.execute(f"SELECT count(*) FROM {what}").fetchone()[0]


class Scene:
    """The bot, Ann, and a session between them."""

    def __init__(self) -> None:
        self.bot, self.ann = Side(BOT, OURS), Side(ANN, ANNS)
        # Another device of hers, and one that calls itself by the name of the first.
        self.published = [each.published for each in (self.ann, Side(ANN, "OTHER"), Side(ANN, ANNS))]
        self.bot.learn(self.ann)
        one_time = self.bot.ours.upload(self.bot.db, NOW).body["one_time_keys"]
        assert self.ann.olm.begin(self.ann.db, self.ann.learn(self.bot), first_key(one_time), NOW)

    @cached_property
    def session(self) -> vodozemac.Session:
        """Return Ann's end of the session."""
        return self.ann.olm._sessions(self.ann.db, self.bot.us.curve25519)[0][1]

    def sealed(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Encrypt a message of Ann's device; `over` replaces parts of the envelope with what she claims."""
        inside = {
            "sender": ANN,
            "keys": {"ed25519": self.ann.us.ed25519},
            "recipient": BOT,
            "recipient_keys": {"ed25519": self.bot.us.ed25519},
            "type": said.get("type"),
            "content": said.get("content"),
            **(said["over"] if isinstance(said.get("over"), dict) else {}),
        }
        kind, body = self.session.encrypt(json.dumps(inside).encode()).to_parts()
        ciphertext = {self.bot.us.curve25519: {"type": kind, "body": b64(body)}}
        content = {"algorithm": OLM, "sender_key": self.ann.us.curve25519, "ciphertext": ciphertext}
        return {"sender": ANN, "type": "m.room.encrypted", "content": content}

    @contextmanager
    def undone(self) -> Iterator[Db]:
        """Provide the bot's store, and roll all changes back afterwards."""
        self.bot.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.bot.db
        finally:
            self.bot.db.execute("ROLLBACK")


@lru_cache(1)
def scene() -> Scene:
    """Return the scene, created only once since keys take a while."""
    return Scene()


def _as_it_comes(raw: Any) -> Any:
    """Return a value as the HTTP client decodes it; None if that refuses it."""
    try:
        return decode(events.dumped(raw))
    except ValueError:
        return None


def check_to_device(raw: Any) -> None:
    """Check that no message of a device stops the rest, room keys count as their sender's, and ours go to nobody."""
    raw = _as_it_comes(raw)
    told = raw.get("to_device") if isinstance(raw, dict) else raw
    given = told if isinstance(told, list) else [told]
    here = scene()
    is_sealed = [isinstance(each, dict) and each.get("sealed") is True for each in given]
    messages = [here.sealed(each) if sealed else each for each, sealed in zip(given, is_sealed, strict=True)]
    lists = raw.get("encryption") if isinstance(raw, dict) else None
    part = SyncPart.of(messages, lists if isinstance(lists, dict) else {})
    with here.undone() as db:
        devices.note_changes(db, part.changed, part.left)
        here.bot.ours.note_counts(db, part.counts, part.unused_fallbacks, NOW)
        heard = here.bot.inbox.take(db, here.bot.us, part.to_device, NOW)
        assert here.bot.count("room_keys WHERE source <> 'olm'") == 0  # nobody was asked for any
        assert here.bot.count("room_keys") == len(set(heard.keys)) <= sum(is_sealed)
        for _, _, sender, sender_key, _ in db.execute("SELECT * FROM room_key_senders"):
            assert (sender, sender_key) == (ANN, here.ann.us.curve25519)
        assert here.bot.count("devices WHERE signed") == 0
        assert here.bot.count("outgoing WHERE type = 'm.room.encrypted'") == 0
        assert here.bot.count("owed") == 0
        here.bot.ours.upload(db, NOW)  # new keys can be made whatever was said about ours


def check_lists(raw: Any) -> None:
    """Check that a device is known only by keys that it signed itself, and keeps them, whatever a homeserver says."""
    here = scene()
    raw = _as_it_comes(raw)
    answer = raw if isinstance(raw, dict) else {"device_keys": raw}
    with here.undone() as db:
        devices.track(db, [ANN, BOT])
        devices.learn(db, {ANN: 1, BOT: 1}, answer, here.bot.me)
        for user, id, ed25519, keys, signed in db.execute("SELECT user, device, ed25519, keys, signed FROM devices"):
            listed = json.loads(keys)
            assert (listed["user_id"], listed["device_id"]) == (user, id)
            assert _is_by_itself(listed, user, id, ed25519)
            assert not signed or db.execute("SELECT self_signing FROM identities WHERE user = ?", (user,)).fetchone()
        known = devices.one(db, ANN, ANNS)
        assert known is not None
        assert (known.curve25519, known.ed25519) == (here.ann.us.curve25519, here.ann.us.ed25519)


def _is_by_itself(keys: Mapping[str, Any], user: str, id: str, public: str) -> bool:
    """Check a signature with another library than the product's."""
    signature = vodozemac.Ed25519Signature.from_base64(keys["signatures"][user][f"ed25519:{id}"])
    signed = {name: value for name, value in keys.items() if name not in ("signatures", "unsigned")}
    key = vodozemac.Ed25519PublicKey.from_base64(public)
    try:
        key.verify_signature(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS), signature)
    except ValueError:
        return False
    return True


_GROUP = vodozemac.GroupSession()
_KEY = {
    "algorithm": MEGOLM,
    "room_id": ROOM,
    "session_id": _GROUP.session_id,
    "session_key": _GROUP.session_key.to_base64(),
}


def nearly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with these fields, often complete, as only those get far."""
    right = st.fixed_dictionaries(fields)
    bent = st.dictionaries(st.sampled_from(sorted(fields)), events.anything, max_size=2)
    return right | st.tuples(right, bent).map(lambda parts: {**parts[0], **parts[1]})


_types = st.sampled_from(
    ["m.room_key", "m.forwarded_room_key", "m.room_key.withheld", "m.room_key_request", "m.dummy",
     "m.key.verification.request", "m.secret.send", "m.room.encrypted"]
) | texts  # fmt: skip
_some_key = nearly(**{name: st.just(value) for name, value in _KEY.items()})
_request = nearly(
    action=st.sampled_from(["request", "request_cancellation"]),
    body=_some_key,
    requesting_device_id=st.sampled_from([ANNS, OURS, ""]),
    request_id=texts,
)
_withheld = nearly(
    algorithm=st.just(MEGOLM),
    room_id=st.just(ROOM),
    session_id=st.just(_GROUP.session_id) | texts,
    code=st.sampled_from(["m.no_olm", "m.unauthorised", "m.x"]),
    sender_key=texts,
)
_contents = st.one_of(_some_key, _request, _withheld, events.anything)
_said_of = {
    "m.room_key_request": _request,
    "m.room_key.withheld": _withheld,
    "m.key.verification.request": events.anything,
    "m.room_key": _some_key,
}
_plain = st.one_of(
    *(nearly(type=st.just(type), sender=st.sampled_from([ANN, BOT]), content=content)
      for type, content in _said_of.items()),
    nearly(type=_types, sender=st.sampled_from([ANN, BOT]) | texts, content=_contents),
)  # fmt: skip
_over = st.dictionaries(
    st.sampled_from(["sender", "recipient", "keys", "recipient_keys", "sender_device_keys", "type"]),
    events.anything,
    max_size=1,
)
_sealed = nearly(
    sealed=st.just(True), type=st.just("m.room_key") | _types, content=_some_key | _contents, over=st.just({}) | _over
)
_encryption = nearly(
    device_lists=nearly(changed=events.anything, left=events.anything),
    device_one_time_keys_count=st.dictionaries(st.just("signed_curve25519"), events.anything) | events.anything,
    device_unused_fallback_key_types=events.anything,
)
_TO_DEVICE = nearly(to_device=st.lists(_plain | _sealed | events.anything, max_size=4), encryption=_encryption)


_changes = st.dictionaries(
    st.sampled_from(["user_id", "device_id", "keys", "signatures", "algorithms", "unsigned"]),
    events.anything,
    max_size=1,
)
_device = st.tuples(st.integers(0, 2), st.just({}) | _changes).map(
    lambda drawn: {**scene().published[drawn[0]], **drawn[1]}
)
_people = st.sampled_from([ANN, BOT])
_signing = b64(bytes(range(32)))
_cross_key = nearly(
    user_id=_people,
    usage=st.sampled_from([["master"], ["self_signing"]]),
    keys=st.just({f"ed25519:{_signing}": _signing}),
    signatures=events.anything,
)
_cross = st.dictionaries(_people, _cross_key, max_size=2)
_ids = st.sampled_from([ANNS, OURS, "OTHER"])
_LISTS = nearly(
    device_keys=st.dictionaries(_people, st.dictionaries(_ids, _device | events.anything, max_size=3)),
    master_keys=_cross,
    self_signing_keys=_cross,
    user_signing_keys=_cross,
    failures=st.dictionaries(st.just("example.org"), events.anything),
)

KEY_TARGETS = (
    Target("to-device", _TO_DEVICE, check_to_device, events.loaded, events.dumped),
    Target("lists", _LISTS, check_lists, events.loaded, events.dumped),
)
