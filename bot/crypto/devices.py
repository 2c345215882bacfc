"""Other people's devices, and the cross-signing keys with which people sign them.

Rules this module keeps:
- Keys that the device itself has not signed are ignored.
- A device's keys never change; other keys for a known device are ignored.
- "Signed" means by the self-signing key that the user's master key signed.
- The first master key of a user is kept, so that a change can be detected.
- A list is stale until an answer arrives that was requested after the last change.
- A device that is gone gets nothing more, but is kept for its earlier messages.
Left to others: requests (`machine.py`), whom we have verified in person (the caller compares `Person.master`).

Specification: client-server API v1.19, "Tracking the device list for a user", "Cross-signing".
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moderation.values.ids import server_of

from .account import OLM
from .encoding import MalformedKey, Object, object_of, restored, stored, text_of, unb64
from .signing import ED25519, is_signed
from .store import Db, set_meta
from .tables import DEVICES, IDENTITIES, TRACKED

_KEY_BYTES = 32
_COLUMNS = '"user", device, curve25519, ed25519, name, signed, gone, keys'
_TRACK, _PUT_DEVICE, _PUT_PERSON = TRACKED.insert_if_new(), DEVICES.put(), IDENTITIES.put()
OWN_ABSENT, OWN_SAME, OWN_OTHER = "absent", "same", "other"  # what the homeserver has for our own device id


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a user."""

    user: str
    device: str
    curve25519: str
    ed25519: str
    name: str = ""
    signed: bool = False  # by its owner's self-signing key
    gone: bool = False
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)  # as published


@dataclass(frozen=True, slots=True)
class Person:
    """The public halves of a user's cross-signing keys; empty where there is none."""

    user: str
    master: str = ""
    self_signing: str = ""
    user_signing: str = ""  # only our own is visible
    first_master: str = ""
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the master key as published

    @property
    def changed(self) -> bool:
        """True if the master key is not the first one we saw: the user must be verified again."""
        return self.master != self.first_master


# The device lists that we keep.


def track(db: Db, users: Iterable[str]) -> None:
    """Start to keep the device lists of these users."""
    db.executemany(_TRACK, [(user, 1) for user in users])


def note_changes(db: Db, changed: Iterable[str], left: Iterable[str]) -> None:
    """Note from `/sync` whose lists changed, and who no longer shares an encrypted room with us."""
    db.executemany('UPDATE tracked SET stale = stale + 1 WHERE "user" = ?', [(user,) for user in changed])
    db.executemany('DELETE FROM tracked WHERE "user" = ?', [(user,) for user in left])


def stale(db: Db, users: Collection[str] | None = None) -> dict[str, int]:
    """Return the users (among `users`) whose lists must be fetched, with the number of changes since."""
    rows = db.execute('SELECT "user", stale FROM tracked WHERE stale > 0 ORDER BY "user"')
    return {user: count for user, count in rows if users is None or user in users}


def is_stale(db: Db, user: str) -> bool:
    """Tell whether our list of a user may be out of date."""
    row = db.execute('SELECT stale FROM tracked WHERE "user" = ?', (user,)).fetchone()
    return row is None or bool(row[0])


def all_stale(db: Db) -> None:
    """Mark every list as stale, as we may have missed changes (a sync without a token)."""
    db.execute("UPDATE tracked SET stale = stale + 1")


# The known devices and persons.


def of_user(db: Db, user: str, *, gone: bool = False) -> list[Device]:
    """Return the devices of a user; those that are gone only with `gone`."""
    rows = db.execute(
        f'SELECT {_COLUMNS} FROM devices WHERE "user" = ? AND gone <= ? ORDER BY device',  # noqa: S608 - our words
        (user, int(gone)),
    )
    return [_device(row) for row in rows]


def among(db: Db, users: Collection[str], where: str, values: tuple[object, ...]) -> list[Device]:
    """Return the devices of these users that are not gone and match `where`, in one query."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM devices WHERE gone = 0"  # noqa: S608 - our words
        f' AND "user" IN (SELECT key FROM json_each(?)) AND {where} ORDER BY "user", device',
        (stored({user: 1 for user in users if "\0" not in user}), *values),  # keys of an object: both engines read them
    )
    return [_device(row) for row in rows]


def one(db: Db, user: str, device: str) -> Device | None:
    """Return a device by its id, gone or not."""
    return next((each for each in of_user(db, user, gone=True) if each.device == device), None)


def by_key(db: Db, user: str, curve25519: str) -> Device | None:
    """Return a device of the user by its curve25519 key, gone or not."""
    return next((each for each in of_user(db, user, gone=True) if each.curve25519 == curve25519), None)


def person(db: Db, user: str) -> Person:
    """Return the cross-signing keys of a user."""
    row = db.execute(
        'SELECT "user", master, self_signing, user_signing, first_master, keys FROM identities WHERE "user" = ?',
        (user,),
    ).fetchone()
    if row is None:
        return Person(user)
    user, master, self_signing, user_signing, first, keys = row
    return Person(user, master, self_signing, user_signing, first, restored(keys))


def take_changed(db: Db) -> list[Person]:
    """Return the persons whose master key has changed, each change only once."""
    users = [row[0] for row in db.execute('SELECT "user" FROM identities WHERE told = 0 ORDER BY "user"')]
    db.execute("UPDATE identities SET told = 1 WHERE told = 0")
    return [person(db, user) for user in users]


# Reading an answer to /keys/query.


def learn(db: Db, asked: Mapping[str, int], answer: Object, us: Device) -> None:
    """Take an answer to /keys/query. `asked` has the staleness of each list at the request, `us` is our device."""
    devices, failures = object_of(answer.get("device_keys")), object_of(answer.get("failures"))
    for user, count in asked.items():
        if user not in devices and server_of(user) in failures:
            continue  # their homeserver is unreachable: the list stays stale, and what we know stays in use
        _learn_person(db, user, answer, own=user == us.user)
        _learn_devices(db, user, object_of(devices.get(user)), us)
        db.execute('UPDATE tracked SET stale = 0 WHERE "user" = ? AND stale = ?', (user, count))


def introduce(db: Db, user: str, keys: Object) -> Device | None:
    """Store a device that showed its own keys in a message. It gets no keys unless the homeserver lists it."""
    try:
        device = _read(user, text_of(keys, "device_id"), keys, person(db, user))
    except MalformedKey:
        return None
    if one(db, user, device.device) is None:
        _keep(db, device, gone=True)
    return device


def _learn_devices(db: Db, user: str, devices: Mapping[str, Any], us: Device) -> None:
    known = {each.device: each for each in of_user(db, user, gone=True)}
    owner, here = person(db, user), set()
    for id, keys in devices.items():
        try:
            device = _read(user, id, object_of(keys), owner)
        except MalformedKey:
            continue
        if (user, id) == (us.user, us.device):
            _note_own(db, device, us)
            continue
        before = known.get(id)
        if before is not None and (before.ed25519, before.curve25519) != (device.ed25519, device.curve25519):
            device = before  # keys of a device never change: this is not that device
        here.add(id)
        _keep(db, device, gone=False)
    if user == us.user and us.device not in devices:
        set_meta(db, "own_at_server", OWN_ABSENT)
    db.executemany(
        'UPDATE devices SET gone = 1 WHERE "user" = ? AND device = ?', [(user, id) for id in known.keys() - here]
    )


def _note_own(db: Db, there: Device, us: Device) -> None:
    same = (there.curve25519, there.ed25519) == (us.curve25519, us.ed25519)
    set_meta(db, "own_at_server", OWN_SAME if same else OWN_OTHER)
    set_meta(db, "own_signed", str(int(same and there.signed)))


def _read(user: str, id: str, keys: Object, owner: Person) -> Device:
    """Parse a published device. Raises `MalformedKey` if it is invalid or not signed by itself."""
    if keys.get("user_id") != user or keys.get("device_id") != id:
        raise MalformedKey("the keys of another device")
    halves = object_of(keys.get("keys"))
    curve, signing = text_of(halves, f"curve25519:{id}"), text_of(halves, f"{ED25519}:{id}")
    unb64(curve, _KEY_BYTES)
    stored(keys)  # check that it can be stored
    if not is_signed(keys, user, id, signing):
        raise MalformedKey("not signed by itself")
    if OLM not in (keys.get("algorithms") or ()):
        raise MalformedKey("it cannot be talked to")
    signed = bool(owner.self_signing) and is_signed(keys, user, owner.self_signing, owner.self_signing)
    name = object_of(keys.get("unsigned")).get("device_display_name")
    return Device(user, id, curve, signing, name if isinstance(name, str) else "", signed, keys=keys)


def _keep(db: Db, device: Device, *, gone: bool) -> None:
    db.execute(
        _PUT_DEVICE,
        (
            device.user,
            device.device,
            device.curve25519,
            device.ed25519,
            device.name,
            stored(device.keys),
            int(device.signed),
            int(gone),
        ),
    )


def _learn_person(db: Db, user: str, answer: Object, *, own: bool) -> None:
    master_keys = object_of(object_of(answer.get("master_keys")).get(user))
    master = _public(master_keys, user, "master")
    if own:
        set_meta(db, "own_master_there", master)
    if not master:
        return  # a user's keys do not vanish; if a server says so, we keep what we knew
    signed_by_master = {
        usage: _signed_public(object_of(object_of(answer.get(f"{usage}_keys")).get(user)), user, usage, master)
        for usage in ("self_signing", "user_signing")
    }
    before = person(db, user)
    row = db.execute('SELECT told FROM identities WHERE "user" = ?', (user,)).fetchone()
    changed = before.master not in ("", master) and not own  # `cross_signing.py` reports on our own
    told = 0 if changed else row[0] if row else 1
    db.execute(
        _PUT_PERSON,
        (
            user,
            master,
            signed_by_master["self_signing"],
            signed_by_master["user_signing"],
            before.first_master or master,
            stored(master_keys),
            told,
        ),
    )


def _public(keys: Object, user: str, usage: str) -> str:
    """Return the only key of a cross-signing key object; "" if it is malformed."""
    halves, usages = object_of(keys.get("keys")), keys.get("usage")
    if keys.get("user_id") != user or not isinstance(usages, list) or usage not in usages or len(halves) != 1:
        return ""
    ((name, public),) = halves.items()
    try:
        unb64(public, _KEY_BYTES)
        stored(keys)  # check that it can be stored
    except MalformedKey:
        return ""
    return public if name == f"{ED25519}:{public}" else ""


def _signed_public(keys: Object, user: str, usage: str, master: str) -> str:
    public = _public(keys, user, usage)
    return public if public and is_signed(keys, user, master, master) else ""


def _device(row: tuple[Any, ...]) -> Device:
    user, device, curve, signing, name, signed, gone, keys = row
    return Device(user, device, curve, signing, name, bool(signed), bool(gone), restored(keys))
