"""The three keys of our account, by which others know our device as ours, and by which we say whom we know.

Rules this module keeps: keys that stand at the homeserver are never replaced unasked (`reset` is asked for); a private
key is stored, encrypted, before its public half is uploaded; the device is signed again whenever its signature is not
there; the password is used once and kept nowhere.
Left to others: telling people (`KeyState`, in words: `words.py`), the recovery key (`secret_storage.py`), when to do
it: at every start, `make_ready`.

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
    """How our keys and our device stand at the homeserver."""

    READY = "ready"  # all in order: others give us keys
    ABSENT = "absent"  # the account has no such keys yet
    UNSIGNED = "unsigned"  # our keys are there, our device is not signed by them
    LOCKED = "locked"  # there are keys, and we do not have them: the recovery key is needed, or a reset
    REPLACED = "replaced"  # somebody has put other keys in the place of ours
    LOST = "lost"  # the homeserver knows this device by other keys, or the store is an old copy: log in as a new device


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """The state, and the two master keys (public halves, empty if there is none): what we hold, and what is there."""

    state: KeyState
    ours: str = ""
    there: str = ""


@dataclass(frozen=True, slots=True)
class PrivateKeys:
    """The three keys, private halves."""

    master: SigningKey
    self_signing: SigningKey
    user_signing: SigningKey

    @classmethod
    def new(cls) -> "PrivateKeys":
        """Keys nobody has had before."""
        return cls(SigningKey.new(), SigningKey.new(), SigningKey.new())

    @classmethod
    def of(cls, seeds: bytes) -> "PrivateKeys":
        """From the three seeds, one behind the other."""
        if len(seeds) != 96:
            raise WrongKey("not the three keys of cross-signing")
        return cls(SigningKey(seeds[:32]), SigningKey(seeds[32:64]), SigningKey(seeds[64:]))

    @property
    def seeds(self) -> bytes:
        """The three seeds. A secret."""
        return self.master.seed + self.self_signing.seed + self.user_signing.seed

    def public(self, user: str) -> dict[str, Any]:
        """The body of the upload: each public half, the lower two signed by the master key."""
        body = {}
        for name in _NAMES:
            key: SigningKey = getattr(self, name)
            value = {"user_id": user, "usage": [name], "keys": {f"ed25519:{key.public}": key.public}}
            body[f"{name}_key"] = value if name == "master" else self.master.signed(value, user)
        return body


@dataclass(frozen=True, slots=True)
class _There:
    """What the homeserver has."""

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
        """How it stands, by the homeserver's own word. Changes nothing there."""
        await self._machine.refresh_own()
        return await self.look()

    async def look(self) -> KeyStanding:
        """The same, asking the homeserver only if it said that something changed since it was last asked."""
        await self._machine.person(self._machine.user)
        there = await self._machine.store.run(self._look)
        return KeyStanding(_state(there), there.ours.master.public if there.ours else "", there.master)

    async def private(self) -> PrivateKeys | None:
        """Our keys, if we hold them."""
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
        """Keys of a `reset` that was cut short after the homeserver took them are ours."""
        pending = self._machine.store.secret(db, "cross_signing.pending")
        if pending and PrivateKeys.of(pending).master.public == meta(db, "own_master_there"):
            self._take(db, pending)

    def _take(self, db: Db, seeds: bytes) -> None:
        self._machine.store.put_secret(db, "cross_signing", seeds)
        self._machine.store.drop_secret(db, "cross_signing.pending")

    # Bringing in order

    async def make_ready(self, password: str | None = None) -> KeyStanding:
        """Make and upload what is missing, and sign our device. What is somebody else's is left alone and told.

        Raises `NeedsPassword` when the homeserver wants one to take keys; call it again with the password.
        """
        try:
            await self._machine.tend()  # our device must be there before it can be signed
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
        """Put new keys in the place of whatever is there. Everybody who verified us must do so again."""
        keys = PrivateKeys.new()
        store = self._machine.store
        await store.run(lambda db: store.put_secret(db, "cross_signing.pending", keys.seeds))
        await self._upload(keys, password)
        await store.run(lambda db: self._take(db, keys.seeds))
        return await self.make_ready(password)

    async def adopt(self, keys: PrivateKeys) -> KeyStanding:
        """Take up the account's own keys, as they came out of secret storage. Raises `NotOurs` if they are others."""
        standing = await self.examine()
        if standing.there != keys.master.public:
            raise NotOurs("the keys in secret storage are not those at the homeserver")
        await self._machine.store.run(lambda db: self._take(db, keys.seeds))
        return await self.make_ready()

    async def sign_user(self, user: str, master: str) -> None:
        """Say that we know `user` by this master key, which was compared. Raises `NotTrusted`, `NotOurs`."""
        keys, person = await self.private(), await self._machine.person(user)
        if keys is None:
            raise NotOurs("we do not hold our own keys")
        if not master or person.master != master:
            raise NotTrusted(f"the master key of {user} is another one now")
        signed = keys.user_signing.signed(person.keys, self._machine.user)
        await self._put_signatures({user: {master: signed}})

    async def _held(self) -> PrivateKeys:
        """Our keys; made and stored now if there are none."""
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
        """Our device's keys, and our master key signed by the device, as older devices of ours expect it."""
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
    """What answers the homeserver's question for authentication. Raises `NeedsPassword`, or `asked` if it is none."""
    flows = asked.answer.get("flows")
    if asked.status != 401 or not isinstance(flows, list):
        raise asked
    stages = tuple(tuple(map(str, object_of(flow).get("stages") or ())) for flow in flows)
    if password is None or (PASSWORD,) not in stages:
        raise NeedsPassword(stages)
    identifier = {"type": "m.id.user", "user": user}
    return {"type": PASSWORD, "identifier": identifier, "password": password, "session": asked.answer.get("session")}
