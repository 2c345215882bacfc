"""The three cross-signing keys of our account, which show that our device is ours and whom we have verified.

Rules this module keeps:
- Keys at the homeserver are never replaced without an explicit `reset`.
- A private key is stored, encrypted, before its public half is uploaded.
- The device is signed again whenever its signature is missing.
- The password is used once and stored nowhere.
Left to others: telling people (`crypto.state.*` of the message files), the recovery key (`secret_storage.py`), calling
`make_ready` at every start.

Specification: client-server API v1.19, "Cross-signing", "User-interactive authentication".
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.matrix.errors import Rejected

from . import devices, store_age
from .encoding import Object, object_of
from .errors import NeedsPassword, NotOurs, NotTrusted, StoreLost, WrongKey
from .machine import CryptoMachine
from .signing import SigningKey, signature_in
from .store import Db, meta

PASSWORD = "m.login.password"  # noqa: S105 - the name of a stage
_NAMES = ("master", "self_signing", "user_signing")


class KeyState(StrEnum):
    """The state of our keys and our device at the homeserver."""

    READY = "ready"  # everything is in order: others give us keys
    ABSENT = "absent"  # the account has no such keys yet
    UNSIGNED = "unsigned"  # our keys are there, but they have not signed our device
    LOCKED = "locked"  # there are keys that we do not hold: the recovery key or a reset is needed
    REPLACED = "replaced"  # somebody has replaced our keys with others
    LOST = "lost"  # the homeserver knows this device by other keys, or the store is an old copy: log in as a new device


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """The state, our master key, and the one at the homeserver (public halves, empty if there is none)."""

    state: KeyState
    ours: str = ""
    there: str = ""


@dataclass(frozen=True, slots=True)
class PrivateKeys:
    """The private halves of the three keys."""

    master: SigningKey
    self_signing: SigningKey
    user_signing: SigningKey

    @classmethod
    def new(cls) -> "PrivateKeys":
        """Generate new keys."""
        return cls(SigningKey.new(), SigningKey.new(), SigningKey.new())

    @classmethod
    def of(cls, seeds: bytes) -> "PrivateKeys":
        """Build the keys from the three concatenated seeds."""
        if len(seeds) != 96:
            raise WrongKey("not the three keys of cross-signing")
        return cls(SigningKey(seeds[:32]), SigningKey(seeds[32:64]), SigningKey(seeds[64:]))

    @property
    def seeds(self) -> bytes:
        """The three seeds, concatenated. A secret."""
        return self.master.seed + self.self_signing.seed + self.user_signing.seed

    def public(self, user: str) -> dict[str, Any]:
        """Return the body of the upload: each public half, the two lower keys signed by the master key."""
        body = {}
        for name in _NAMES:
            key: SigningKey = getattr(self, name)
            value = {"user_id": user, "usage": [name], "keys": {f"ed25519:{key.public}": key.public}}
            body[f"{name}_key"] = value if name == "master" else self.master.signed(value, user)
        return body


@dataclass(frozen=True, slots=True)
class _There:
    """The keys at the homeserver, and ours."""

    master: str
    self_signing: str
    device: str
    device_signed: bool
    of_no_use: bool
    ours: PrivateKeys | None = field(repr=False)


class CrossSigning:
    """The keys of the machine's account."""

    def __init__(self, machine: CryptoMachine) -> None:
        self._machine = machine

    # Looking

    async def examine(self) -> KeyStanding:
        """Return the state according to a fresh answer of the homeserver. Changes nothing there."""
        await self._machine.refresh_own()
        return await self.look()

    async def look(self) -> KeyStanding:
        """Return the state, asking the homeserver only if it has reported a change since the last request."""
        await self._machine.learn_of(self._machine.user)
        there = await self._machine.store.run(self._look)
        return KeyStanding(_state(there), there.ours.master.public if there.ours else "", there.master)

    async def private(self) -> PrivateKeys | None:
        """Return our private keys, or None if we do not hold them."""
        return await self._machine.store.run(self._load)

    def _look(self, db: Db) -> _There:
        self._promote(db)
        return _There(
            meta(db, "own_master_there") or "",
            devices.person(db, self._machine.user).self_signing,
            meta(db, "own_at_server") or devices.OWN_ABSENT,
            meta(db, "own_signed") == "1",
            store_age.is_of_no_use(db),
            self._load(db),
        )

    def _load(self, db: Db) -> PrivateKeys | None:
        seeds = self._machine.store.secret(db, "cross_signing")
        return PrivateKeys.of(seeds) if seeds else None

    def _promote(self, db: Db) -> None:
        """Adopt the keys of a `reset` that was interrupted after the homeserver accepted them."""
        pending = self._machine.store.secret(db, "cross_signing.pending")
        if pending and PrivateKeys.of(pending).master.public == meta(db, "own_master_there"):
            self._take(db, pending)

    def _take(self, db: Db, seeds: bytes) -> None:
        self._machine.store.put_secret(db, "cross_signing", seeds)
        self._machine.store.drop_secret(db, "cross_signing.pending")

    # Repairing

    async def make_ready(self, password: str | None = None) -> KeyStanding:
        """Create and upload missing keys, and sign our device. Leave other people's keys alone; the state reports them.

        Raises `NeedsPassword` if the homeserver requires one to accept keys; call it again with the password.
        """
        try:
            await self._machine.tend()  # our device must be uploaded before it can be signed
        except StoreLost:
            return await self.examine()
        standing = await self.examine()
        if standing.state is KeyState.ABSENT:
            await self._upload(await self._held(), password)
            standing = await self.examine()
        if standing.state is KeyState.UNSIGNED:
            await self._sign_device()
            standing = await self.examine()
        return standing

    async def reset(self, password: str | None = None) -> KeyStanding:
        """Replace whatever keys are there with new ones. Everybody who verified us must do so again."""
        keys = PrivateKeys.new()
        store = self._machine.store
        await store.run(lambda db: store.put_secret(db, "cross_signing.pending", keys.seeds))
        await self._upload(keys, password)
        await store.run(lambda db: self._take(db, keys.seeds))
        return await self.make_ready(password)

    async def adopt(self, keys: PrivateKeys) -> KeyStanding:
        """Take the account's own keys from secret storage. Raises `NotOurs` if those at the homeserver are others."""
        standing = await self.examine()
        if standing.there != keys.master.public:
            raise NotOurs("the keys in secret storage are not those at the homeserver")
        await self._machine.store.run(lambda db: self._take(db, keys.seeds))
        return await self.make_ready()

    async def sign_user(self, user: str, master: str) -> None:
        """Sign the master key of `user`, which was compared. Raises `NotTrusted`, `NotOurs`."""
        keys, person = await self.private(), await self._machine.person(user)
        if keys is None:
            raise NotOurs("we do not hold our own keys")
        if not master or person.master != master:
            raise NotTrusted(f"the master key of {user} is another one now")
        signed = keys.user_signing.signed(person.keys, self._machine.user)
        await self._put_signatures({user: {master: signed}})

    async def _held(self) -> PrivateKeys:
        """Return our keys; create and store them if there are none."""
        store = self._machine.store

        def work(db: Db) -> PrivateKeys:
            keys = self._load(db)
            if keys is None:
                keys = PrivateKeys.new()
                store.put_secret(db, "cross_signing", keys.seeds)
            return keys

        return await store.run(work)

    async def _upload(self, keys: PrivateKeys, password: str | None) -> None:
        requests, body = self._machine.requests, keys.public(self._machine.user)
        try:
            await requests.upload_signing_keys(body)
        except Rejected as error:
            auth = _auth(error, self._machine.user, password)
            await requests.upload_signing_keys(body, auth, password or "")

    async def _sign_device(self) -> None:
        keys = await self.private()
        assert keys is not None, "only a device of ours is signed"
        user, device = self._machine.user, self._machine.device
        plain, master = await self._machine.store.run(lambda db: self._own_objects(db, keys))
        signed = keys.self_signing.signed(plain, user)
        await self._put_signatures({user: {device: signed, keys.master.public: master}})
        signature = signature_in(signed, user, keys.self_signing.public) or ""
        await self._machine.store.run(
            lambda db: self._machine.ours.note_self_signature(db, keys.self_signing.public, signature)
        )

    def _own_objects(self, db: Db, keys: PrivateKeys) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return our device's keys, and our master key signed by the device, as our older devices expect it."""
        master = keys.public(self._machine.user)["master_key"]
        return self._machine.ours.keys(db), self._machine.ours.sign(db, master)

    async def _put_signatures(self, signed: Object) -> None:
        failures = object_of((await self._machine.requests.upload_signatures(signed)).get("failures"))
        if any(failures.values()):
            raise NotTrusted(f"the homeserver did not take a signature: {failures}")


def _state(there: _There) -> KeyState:
    if there.of_no_use:
        return KeyState.LOST
    if not there.master:
        return KeyState.ABSENT
    if there.ours is None:
        return KeyState.LOCKED
    if (there.master, there.self_signing) != (there.ours.master.public, there.ours.self_signing.public):
        return KeyState.REPLACED
    return KeyState.READY if there.device_signed and there.device == devices.OWN_SAME else KeyState.UNSIGNED


def _auth(asked: Rejected, user: str, password: str | None) -> dict[str, Any]:
    """Answer the homeserver's request for authentication. Raises `NeedsPassword`, or `asked` if it is another error."""
    flows = asked.answer.get("flows")
    if asked.status != 401 or not isinstance(flows, list):
        raise asked
    stages = tuple(tuple(map(str, object_of(flow).get("stages") or ())) for flow in flows)
    if password is None or (PASSWORD,) not in stages:
        raise NeedsPassword(stages)
    identifier = {"type": "m.id.user", "user": user}
    return {"type": PASSWORD, "identifier": identifier, "password": password, "session": asked.answer.get("session")}
