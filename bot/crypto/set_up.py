"""The operator's one-time set-up: create all keys of an account, or recover them with the recovery key.

Rules this module keeps:
- The recovery key is returned once, for the caller to show.
- Keys that are not ours are never replaced.
- After an interruption everything can be called again.
Left to others: asking for the password and the recovery key, telling the operator (`bot/cli/`).
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
    """The result of the set-up. `recovery_key` must be shown once, and never again."""

    standing: KeyStanding
    recovery_key: str = field(repr=False)


async def set_up(machine: CryptoMachine, password: str | None = None) -> KeysMade:
    """Create keys, sign the device, create a backup, and store all secrets under a new recovery key.

    Raises `NotOurs` if the account has keys that we do not hold: then use `recover` or `CrossSigning.reset`. An
    existing backup is left alone; an earlier recovery key opens nothing new.
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
    """Store the secrets that we hold under a key of secret storage."""
    storage = SecretStorage(machine.requests)
    keys, backup = await CrossSigning(machine).private(), await KeyBackup(machine).secret()
    if keys is not None:
        seeds = (keys.master.seed, keys.self_signing.seed, keys.user_signing.seed)
        for name, seed in zip(SECRETS, seeds, strict=True):
            await storage.put(key, name, b64(seed))
    if backup is not None:
        await storage.put(key, SECRET, b64(backup))


async def recover(machine: CryptoMachine, recovery_key: str) -> tuple[KeyStanding, Restored | None]:
    """Recover the account's keys, sign our device, and restore the backup; None if there is no backup.

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
