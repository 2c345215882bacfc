"""What an operator does once: make everything an account needs, or get it back with the recovery key.

Rules this module keeps: the recovery key is shown once, by whoever calls; keys that are not ours are never replaced;
what was cut short can be called again.
Left to others: asking for the password and the recovery key, telling (`bot/cli/`).
"""

from dataclasses import dataclass, field

from .cross_signing import CrossSigning, KeyStanding, KeyState, PrivateKeys
from .encoding import MalformedKey, b64, unb64
from .errors import NotOurs, WrongKey
from .key_backup import SECRET, BackupState, KeyBackup, Restored
from .machine import CryptoMachine
from .secret_storage import SecretStorage, StorageKey
from .signing import SigningKey

SECRETS = ("m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing")


@dataclass(frozen=True, slots=True)
class KeysMade:
    """What was set up. `recovery_key` is to be shown once, and never again."""

    standing: KeyStanding
    recovery_key: str = field(repr=False)


async def set_up(machine: CryptoMachine, password: str | None = None) -> KeysMade:
    """Keys, a signed device, a backup, and all secrets stored under a new recovery key.

    Raises `NotOurs` if the account has keys that we do not hold: then `recover`, or `CrossSigning.reset`. A backup that
    is there is left alone; a recovery key of before opens nothing new.
    """
    signing, backup, storage = CrossSigning(machine), KeyBackup(machine), SecretStorage(machine.requests)
    standing = await signing.make_ready(password)
    keys = await signing.private()
    if standing.state is not KeyState.READY or keys is None:
        raise NotOurs(f"the keys of this account are {standing.state}")
    if await backup.state() is BackupState.NONE:
        await backup.create(keys)
    key = await storage.create()
    await store_secrets(machine, key)
    return KeysMade(standing, key.recovery_key)


async def store_secrets(machine: CryptoMachine, key: StorageKey) -> None:
    """Store what we hold under a key of secret storage."""
    storage = SecretStorage(machine.requests)
    keys, backup = await CrossSigning(machine).private(), await KeyBackup(machine).secret()
    if keys is not None:
        seeds = (keys.master.seed, keys.self_signing.seed, keys.user_signing.seed)
        for name, seed in zip(SECRETS, seeds, strict=True):
            await storage.put(key, name, b64(seed))
    if backup is not None:
        await storage.put(key, SECRET, b64(backup))


async def recover(machine: CryptoMachine, recovery_key: str) -> tuple[KeyStanding, Restored | None]:
    """Take up the account's keys again, sign our device, and fetch what the backup has; None if there is no backup.

    Raises `WrongKey`, `NotTrusted`, `NotOurs`.
    """
    storage = SecretStorage(machine.requests)
    key = await storage.open(recovery_key)
    seeds = [await storage.get(key, name) for name in SECRETS]
    standing = await CrossSigning(machine).adopt(_keys(seeds))
    secret, backup = await storage.get(key, SECRET), KeyBackup(machine)
    if secret is None or await backup.state() is BackupState.NONE:
        return standing, None
    await backup.adopt(_bytes(secret))
    return standing, await backup.restore()


def _keys(secrets: list[str | None]) -> PrivateKeys:
    if any(secret is None for secret in secrets):
        raise WrongKey("not all of the account's keys are in its secret storage")
    return PrivateKeys(*(SigningKey(_bytes(secret or "")) for secret in secrets))


def _bytes(secret: str) -> bytes:
    try:
        return unb64(secret, 32)
    except MalformedKey as error:
        raise WrongKey(f"a secret in secret storage is no key: {error}") from None
