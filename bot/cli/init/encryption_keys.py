"""The part of `answerable init` that makes the keys for encrypted rooms, or recovers those that the account has.

Rules kept here:
- Existing keys are replaced only on request, after a warning.
- What the homeserver does not allow now is told with the command that does it later, and stops nothing.

Left to others: the keys themselves (`bot/admin/keys.py`), asking for the password (`command.py`).
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.keys.perform import hand_over, opened
from bot.cli.run import make_data_dir, only_instance, running_pid
from bot.cli.terminal.ask import asked_secret_or_nothing, make_sure
from bot.cli.terminal.output import say, tell
from moderation.values.errors import Refused

if TYPE_CHECKING:
    from bot.admin.keys import KeyOperations
    from bot.config.config import Config
    from bot.matrix.login import Session

_LATER = ("keys.needs_password", "keys.needs_browser", "keys.lost")


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """The choice about keys: they are made unless one of these says otherwise."""

    none: bool = False
    reset: bool = False
    sure: bool = False  # keys may be replaced without asking
    recovery_key: str = field(default="", repr=False)
    out: Path | None = None  # where a new recovery key goes


async def make_keys(config: "Config", session: "Session", password: str, choice: KeyChoice) -> None:
    """Make or recover the keys. Raises `Refused` for a recovery key that does not fit."""
    from bot.matrix.errors import HomeserverError

    if choice.none:
        return
    if running_pid(config.data_dir) is not None:
        tell("cli.init.keys_running")
        return
    make_data_dir(config.data_dir)
    with only_instance(config.data_dir):
        try:
            async with opened(config, session) as keys:
                await _make(keys, password or None, choice)
        except HomeserverError as error:
            tell("cli.init.keys_failed", why=error.detail)
        except Refused as refused:
            if refused.key not in _LATER:
                raise
            tell(refused.key)


async def _make(keys: "KeyOperations", password: str | None, choice: KeyChoice) -> None:
    state = (await keys.status())["state"]
    if choice.recovery_key:
        _taken_up(await keys.recover(choice.recovery_key))
    elif choice.reset:
        make_sure("cli.keys.reset_sure", yes=choice.sure)
        hand_over((await keys.reset(password))["recovery_key"], choice.out)
    elif state in ("locked", "replaced"):
        await _take_up(keys)
    else:
        await _set_up(keys, password, choice.out)


async def _set_up(keys: "KeyOperations", password: str | None, out: Path | None) -> None:
    try:
        made = await keys.set_up(password)
    except Refused as refused:
        if refused.key != "keys.there":
            raise
        say("crypto.state.ready")
        return
    hand_over(made["recovery_key"], out)


async def _take_up(keys: "KeyOperations") -> None:
    """Recover the account's keys with the recovery key, if somebody is there to type it; a mistake may be mended."""
    while words := asked_secret_or_nothing("recovery_key") if sys.stdin.isatty() else "":
        try:
            _taken_up(await keys.recover(words))
        except Refused as refused:
            if refused.key != "keys.wrong_key":
                raise
            tell(refused.key)
        else:
            return
    tell("crypto.state.locked")


def _taken_up(done: dict[str, Any]) -> None:
    say(f"crypto.state.{done['state']}")
    if done["taken"] is not None:
        say("cli.keys.recovered", taken=done["taken"], unreadable=done["unreadable"])
