"""Operations on the account's keys: show, set up, recover and replace them, and confirm an emoji comparison.

Rules kept here:
- The password and the recovery key stand in requests and answers, over a socket that only the bot's own account opens,
  and nowhere else.
- Keys that are not ours are replaced only by `reset`.
- What was interrupted can be asked for again.

Left to others: the keys (`bot/crypto/`), asking people (`bot/cli/keys/command.py`), comparing
(`bot/encryption/emoji_dialogue.py`).
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from bot.crypto.cross_signing import PASSWORD, CrossSigning, KeyState
from bot.crypto.errors import NeedsPassword, NotOurs, NotTrusted, StoreLost, WrongKey
from bot.crypto.key_backup import BackupState, KeyBackup
from bot.crypto.machine import CryptoMachine
from bot.crypto.secret_storage import SecretStorage
from bot.crypto.set_up import recover, set_up
from bot.matrix.errors import Answered
from moderation.values.errors import Refused

from .request import ByName, Request

if TYPE_CHECKING:
    from bot.crypto.store import Db
    from bot.encryption.emoji_dialogue import Verifying

log = structlog.get_logger()

_NOT_OURS = (KeyState.LOCKED, KeyState.REPLACED)


Changed = Callable[[bool], Awaitable[None]]  # True: keys were recovered, by which more can be read


class KeyOperations:
    """The keys of one machine. `changed` is called after they changed; without `verifying` nobody can compare."""

    def __init__(self, machine: CryptoMachine, verifying: "Verifying | None", changed: Changed) -> None:
        self._machine = machine
        self._verifying = verifying
        self._changed = changed

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "keys-status": self._do_status,
            "keys-set-up": self._do_set_up,
            "keys-recover": self._do_recover,
            "keys-reset": self._do_reset,
            "keys-verifications": self._do_verifications,
            "keys-confirm": self._do_confirm,
            "keys-refuse": self._do_refuse,
        }

    # Looking.

    async def status(self) -> dict[str, Any]:
        """Return the state of all keys, as the homeserver states it."""
        standing = await CrossSigning(self._machine).examine()
        there = await self._machine.requests.backup()
        version = str((there or {}).get("version", ""))
        identity = await self._machine.identity()
        numbers = await self._machine.store.run(lambda db: _numbers(db, version))
        return {
            "user": identity.user,
            "device": identity.device,
            "fingerprint": identity.ed25519,
            "state": standing.state.value,
            "backup": (await KeyBackup(self._machine).state()).value,
            "recovery": await SecretStorage(self._machine.requests).default_id() is not None,
            "master": standing.ours,
            "master_there": standing.there,
            **numbers,
        }

    async def _do_status(self, _asked: Request) -> dict[str, Any]:
        return await self.status()

    # Keys.

    async def set_up(self, password: str | None = None, *, new_recovery_key: bool = False) -> dict[str, Any]:
        """Make what is missing; show the answer's `recovery_key` only once. Raises `Refused`."""
        with _told():
            state = (await CrossSigning(self._machine).examine()).state
            if state is KeyState.LOST:
                raise Refused("keys.lost")
            if state in _NOT_OURS:
                raise Refused("keys.not_ours")
            there = await SecretStorage(self._machine.requests).default_id() is not None
            if there and state is KeyState.READY and not new_recovery_key:
                raise Refused("keys.there")
            made = await set_up(self._machine, password)
        return await self._made(made.recovery_key)

    async def recover(self, recovery_key: str) -> dict[str, Any]:
        """Recover the account's keys and what the backup has: `taken` and `unreadable`, None without a backup."""
        with _told():
            if (await CrossSigning(self._machine).examine()).state is KeyState.LOST:
                raise Refused("keys.lost")
            _, restored = await recover(self._machine, recovery_key)
        await self._changed(restored is not None)
        taken, unreadable = (restored.taken, restored.unreadable) if restored else (None, None)
        return {"taken": taken, "unreadable": unreadable, **await self.status()}

    async def reset(self, password: str | None = None) -> dict[str, Any]:
        """Replace all keys by new ones, and the backup by a new one unless it is ours."""
        signing, backup = CrossSigning(self._machine), KeyBackup(self._machine)
        with _told():
            if (await signing.examine()).state is KeyState.LOST:
                raise Refused("keys.lost")
            await signing.reset(password)
            keys = await signing.private()
            if keys is not None and await backup.state() is not BackupState.OURS:
                await backup.create(keys)
            made = await set_up(self._machine, password)
        return await self._made(made.recovery_key)

    async def _made(self, recovery_key: str) -> dict[str, Any]:
        await KeyBackup(self._machine).upload()
        await self._changed(False)
        return {"recovery_key": recovery_key, **await self.status()}

    async def _do_set_up(self, asked: Request) -> dict[str, Any]:
        done = await self.set_up(
            asked.string("password") or None, new_recovery_key=bool(asked.arguments.get("new_recovery_key"))
        )
        log.info("keys_set_up", by=asked.who)
        return done

    async def _do_recover(self, asked: Request) -> dict[str, Any]:
        done = await self.recover(asked.string("recovery_key"))
        log.info("keys_recovered", by=asked.who, keys=done["taken"])
        return done

    async def _do_reset(self, asked: Request) -> dict[str, Any]:
        done = await self.reset(asked.string("password") or None)
        log.warning("keys_reset", by=asked.who)
        return done

    # Comparing.

    async def _do_verifications(self, _asked: Request) -> dict[str, Any]:
        return {"verifications": self._comparing().under_way()}

    async def _do_confirm(self, asked: Request) -> dict[str, Any]:
        done = await self._comparing().confirm(asked.string("id"))
        log.info("verification_confirmed", by=asked.who, user=done["user"])
        return done

    async def _do_refuse(self, asked: Request) -> dict[str, Any]:
        done = await self._comparing().refuse(asked.string("id"))
        log.info("verification_refused", by=asked.who, user=done["user"])
        return done

    def _comparing(self) -> "Verifying":
        if self._verifying is None:
            raise Refused("keys.not_running")
        return self._verifying


@contextmanager
def _told() -> Iterator[None]:
    """Turn an error into an answer for the person who asked."""
    try:
        yield
    except NeedsPassword as error:
        known = not error.stages or (PASSWORD,) in error.stages
        raise Refused("keys.needs_password" if known else "keys.needs_browser") from None
    except WrongKey:
        raise Refused("keys.wrong_key") from None
    except NotOurs:
        raise Refused("keys.not_ours") from None
    except NotTrusted:
        raise Refused("keys.altered") from None
    except StoreLost:
        raise Refused("keys.lost") from None
    except Answered as error:
        if error.status == 401 and error.errcode == "M_FORBIDDEN":
            raise Refused("keys.wrong_password") from None
        raise


def _numbers(db: "Db", version: str) -> dict[str, int]:
    """Return how many room keys there are, how many the backup has, and how many events wait for theirs."""
    keys = db.execute("SELECT count(*) FROM room_keys").fetchone()[0]
    done = db.execute("SELECT count(*) FROM room_keys WHERE backed_up = ?", (version,)).fetchone()[0]
    waiting = db.execute("SELECT count(*) FROM waiting").fetchone()[0]
    return {"keys": keys, "backed_up": done if version else 0, "waiting": waiting}
