"""The backup of room keys, encrypted, at the homeserver, in case our store is lost.

Rules this module keeps:
- Keys go only into a backup whose private key we hold, so that nobody can foist another backup on us.
- A key is uploaded once for each backup, and again if a better one came.
- Keys that cannot be read at a restore are skipped and counted.
- A key from a backup proves nothing about who wrote a message (its MAC covers nothing), and is marked accordingly.
Left to others: storing the private key for people (`set_up.py`), when to upload (the caller, at any time after
`receive`).

Specification: client-server API v1.19, "Server-side key backups".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
import vodozemac

from .account import MEGOLM
from .cross_signing import PrivateKeys
from .encoding import MalformedKey, Object, b64, object_of, parse, text_of, unb64
from .errors import NotOurs, WrongKey
from .machine import CryptoMachine
from .room_keys import RoomKey, exported_fields
from .signing import to_be_signed, with_signature
from .store import Db

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
SECRET = "m.megolm_backup.v1"  # noqa: S105 - the name it has in secret storage
_HELD = "backup"
AT_ONCE = 200


class BackupState(StrEnum):
    """The state of the backup: whether there is one, and whether we write to it."""

    NONE = "none"
    OURS = "ours"
    FOREIGN = "foreign"  # there is one, and we do not hold its key


@dataclass(frozen=True, slots=True)
class Restored:
    """The numbers of keys in a restored backup."""

    taken: int
    known: int  # already in the store, or not better than the one there
    unreadable: int


class KeyBackup:
    """The backup of the machine's account."""

    def __init__(self, machine: CryptoMachine) -> None:
        self._machine = machine

    async def state(self) -> BackupState:
        """Ask the homeserver for the state of the backup."""
        there = await self._machine.requests.backup()
        if there is None:
            return BackupState.NONE
        secret = await self.secret()
        return BackupState.OURS if secret and _public_of(there) == _public(secret) else BackupState.FOREIGN

    async def secret(self) -> bytes | None:
        """Return the private key of the backup, or None if we do not hold it."""
        return await self._machine.store.run(lambda db: self._machine.store.secret(db, _HELD))

    async def create(self, keys: PrivateKeys) -> bytes:
        """Create a backup, signed by our master key and our device. Returns its private key, to store for people."""
        store, user = self._machine.store, self._machine.user
        secret = vodozemac.Curve25519SecretKey().to_bytes()

        def signed(db: Db) -> dict[str, Any]:
            store.put_secret(db, _HELD, secret)
            data = {"public_key": _public(secret)}
            by_device = self._machine.ours.sign(db, data)
            return with_signature(by_device, user, keys.master.public, keys.master.sign(to_be_signed(data)))

        await self._machine.requests.create_backup(ALGORITHM, await store.run(signed))
        return secret

    async def adopt(self, secret: bytes) -> None:
        """Continue the existing backup. Raises `WrongKey` if this is not its key, `NotOurs` if there is no backup."""
        there = await self._machine.requests.backup()
        if there is None:
            raise NotOurs("there is no backup")
        if len(secret) != 32 or _public_of(there) != _public(secret):
            raise WrongKey("this is not the key of the backup that is there")
        store = self._machine.store
        await store.run(lambda db: store.put_secret(db, _HELD, secret))

    async def upload(self) -> int:
        """Upload every key that the backup lacks. Returns how many. Raises `NotOurs` if the backup is not ours."""
        version, secret = await self._ours()
        encryption = vodozemac.PkEncryption.from_key(vodozemac.Curve25519SecretKey.from_bytes(secret).public_key())
        keys, done = self._machine.keys, 0
        while batch := await self._machine.store.run(lambda db: keys.to_back_up(db, version, AT_ONCE)):
            await self._machine.requests.put_backup_keys(version, _by_room(batch, encryption))
            await self._machine.store.run(lambda db, batch=batch: keys.backed_up(db, version, batch))  # type: ignore[misc]
            done += len(batch)
        return done

    async def restore(self) -> Restored:
        """Import all keys of the backup. Raises `NotOurs` if the backup is not ours."""
        version, secret = await self._ours()
        rooms = await self._machine.requests.backup_keys(version)
        decryption = vodozemac.PkDecryption.from_key(vodozemac.Curve25519SecretKey.from_bytes(secret))
        return await self._machine.store.run(lambda db: self._take(db, rooms, decryption))

    async def _ours(self) -> tuple[str, bytes]:
        there, secret = await self._machine.requests.backup(), await self.secret()
        if there is None or secret is None or _public_of(there) != _public(secret):
            raise NotOurs("there is no backup of which we hold the key")
        return str(there.get("version", "")), secret

    def _take(self, db: Db, rooms: Object, decryption: vodozemac.PkDecryption) -> Restored:
        taken = known = unreadable = 0
        for room, sessions in rooms.items():
            for session, stored in object_of(object_of(sessions).get("sessions")).items():
                try:
                    key = _read(room, session, object_of(object_of(stored).get("session_data")), decryption)
                except MalformedKey:
                    unreadable += 1
                    continue
                new = self._machine.keys.add(db, key, self._machine.clock())
                taken, known = taken + new, known + (not new)
        return Restored(taken, known, unreadable)


def _by_room(batch: Sequence[tuple[RoomKey, int]], encryption: vodozemac.PkEncryption) -> dict[str, Any]:
    rooms: dict[str, Any] = {}
    for key, index in batch:
        sealed = encryption.encrypt(orjson.dumps(exported_fields(key)))
        parts = {"ciphertext": sealed.ciphertext, "mac": sealed.mac, "ephemeral": sealed.ephemeral_key}
        rooms.setdefault(key.room, {"sessions": {}})["sessions"][key.session] = {
            "first_message_index": index,
            "forwarded_count": len(key.chain),
            "is_verified": key.source in ("olm", "own"),
            "session_data": {name: b64(bytes(part)) for name, part in parts.items()},
        }
    return rooms


def _read(room: str, session: str, data: Object, decryption: vodozemac.PkDecryption) -> RoomKey:
    parts = [unb64(data.get(part)) for part in ("ciphertext", "mac", "ephemeral")]
    try:
        fields = parse(decryption.decrypt(vodozemac.Message(*parts)))
    except ValueError as error:
        raise MalformedKey(str(error)) from None
    if fields.get("algorithm") != MEGOLM:
        raise MalformedKey("a key of no room")
    chain = fields.get("forwarding_curve25519_key_chain")
    claimed = object_of(fields.get("sender_claimed_keys")).get("ed25519")
    return RoomKey(
        room=room,
        session=session,
        key=text_of(fields, "session_key"),
        exported=True,
        source="backup",
        sender_key=str(fields.get("sender_key", "")),
        ed25519=claimed if isinstance(claimed, str) else "",
        chain=tuple(each for each in chain if isinstance(each, str)) if isinstance(chain, list) else (),
        shared_history=fields.get("shared_history") is True,
    )


def _public(secret: bytes) -> str:
    return vodozemac.Curve25519SecretKey.from_bytes(secret).public_key().to_base64()


def _public_of(there: Object) -> str:
    found = object_of(there.get("auth_data")).get("public_key") if there.get("algorithm") == ALGORITHM else None
    return found if isinstance(found, str) else ""
