"""Operations on the account's keys: done by the bot if it runs, else here, with the stored session, by the same code.

Rules kept here:
- One process at a time holds the keys, so either the bot does it or we have the lock of the data directory.
- A password is asked for only if the homeserver wants one.
- A recovery key is shown once, or written once to a new file, for its owner only.

Left to others: what is done (`bot/admin/keys.py`), what is said of it (`command.py`, `bot/cli/init/command.py`).
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.access.access_reason import user
from bot.cli.access.admin_client import ask_bot
from bot.cli.run import make_data_dir, only_instance, running_pid
from bot.cli.terminal.ask import asked_secret
from bot.cli.terminal.output import say
from bot.cli.terminal.progress import progress
from moderation.values.errors import Refused
from moderation.values.notices import Who
from storage.database.fence import Superseded
from storage.journal import disk

if TYPE_CHECKING:
    from bot.admin.keys import KeyOperations
    from bot.config.config import Config
    from bot.matrix.login import Session


def perform_with_password(config: "Config", do: str, password: str | None, **arguments: Any) -> dict[str, Any]:
    """Perform it; if the homeserver turns out to want the password, ask for it at the terminal and try again."""
    try:
        return perform(config, do, password=password, **arguments)
    except Refused as refused:
        if refused.key != "keys.needs_password" or password is not None or not sys.stdin.isatty():
            raise
    return perform(config, do, password=asked_secret("password", "--password-stdin"), **arguments)


def perform(config: "Config", do: str, **arguments: Any) -> dict[str, Any]:
    """Perform an operation on the keys. Raises `Refused`, saying what was wrong."""
    with progress() as bar:
        if running_pid(config.data_dir) is not None:
            return asyncio.run(ask_bot(config.data_dir, do, arguments, bar))
        make_data_dir(config.data_dir)
        with only_instance(config.data_dir):
            return asyncio.run(_here(config, do, arguments))


async def _here(config: "Config", do: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from bot.admin.request import Request
    from bot.cli.session import present_token, stored_session

    token = await present_token(config)
    if token is None:
        raise Refused("cli.session.none", env=config.env_file, user=Who(config.user))
    session = await stored_session(config, token)
    async with opened(config, session) as keys:
        return await keys.by_name()[do](Request(arguments, user()))


@asynccontextmanager
async def opened(config: "Config", session: "Session") -> "AsyncIterator[KeyOperations]":
    """Open the keys of a session's device; the caller holds the lock.

    Raises `Broken`, `WrongKey`, `Refused`, and `Superseded` if another process takes the lead meanwhile.
    """
    from bot.admin.keys import KeyOperations
    from bot.encryption.service import open_machine
    from bot.leading.lead import leading
    from bot.matrix.http import Wire
    from bot.runtime.clock import wall_clock

    try:
        async with AsyncExitStack() as stack:
            lead = await leading(config, stack)
            wire = await stack.enter_async_context(Wire(session.url, token=session.token))
            epoch = lead.epoch if lead else None
            machine = await open_machine(config.place, session, wire, wall_clock, epoch=epoch)
            stack.push_async_callback(machine.close)
            try:
                yield KeyOperations(machine, None, _no_bot_runs)
            except Exception as error:  # such as a connection that the new leader has ended
                if lead is not None and await asyncio.to_thread(lead.was_lost):
                    raise Superseded(lead.epoch) from error
                raise
    finally:
        _give_away(config)


async def _no_bot_runs(_brought_back: bool) -> None:
    """Do nothing about keys that changed: the bot looks at them when it starts."""


def _give_away(config: "Config") -> None:
    """Give what root made to the owner of the configuration, since the bot must be able to read it."""
    if os.geteuid() != 0:
        return
    parts = (config.data_dir, *(path for name in ("crypto", "keys") for path in (config.data_dir / name).rglob("*")))
    for path in (*parts, config.data_dir / "crypto", config.data_dir / "keys", config.data_dir / "lock"):
        if path.exists() and path.stat().st_uid == 0:
            disk.give_to_owner_of(config.file.parent, path)


def must_be_new(file: Path | None) -> None:
    """Raise `Refused` if a recovery key could not be written to `file`, before there is one to lose."""
    if file is None or _is_stream(file):
        return
    if file.exists():
        raise Refused("cli.keys.out_exists", file=file)
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise Refused("cli.init.not_writable", folder=file.parent)


def _is_stream(file: Path) -> bool:
    """Tell whether it is a pipe, a device, or a file descriptor that the caller opened."""
    return file.is_fifo() or file.is_char_device() or file.parent in (Path("/dev"), Path("/dev/fd"))


def hand_over(recovery_key: str, file: Path | None) -> None:
    """Give the recovery key once to the person who keeps it. If the file cannot be written, it is shown instead."""
    if file is None:
        say("cli.keys.recovery_key", words=recovery_key)
        return
    data = f"{recovery_key}\n".encode()
    try:
        if file.exists():  # a pipe, or a file descriptor that the caller opened
            file.write_bytes(data)
        else:
            disk.create_once(file, data, disk.SECRET_MODE)
    except OSError:
        say("cli.keys.recovery_key", words=recovery_key)
        raise
    say("cli.keys.recovery_key_written", file=file)
