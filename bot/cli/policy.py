"""`answerable policy [run]`: the policy server, which homeservers ask before they deliver a message.

Rules kept here:
- There is one for a data directory, and it runs while the bot is restarted.
- It reads no secret of the bot's, and makes its own two keys at its first start.
- What faces other servers is not root.

Left to others: what it answers (`bot/policy_server/`).
"""

import asyncio
import signal
from typing import TYPE_CHECKING

import typer

from moderation.values.errors import Refused

from .run import drop_root, only_instance
from .terminal.disk_errors import told_if_disk_fails
from .terminal.options import DEFAULT_CONFIG, ConfigFile, new_app, read_config
from .terminal.output import text

if TYPE_CHECKING:
    from bot.config.config import Config

app = new_app("cli.policy.help")


@app.callback(invoke_without_command=True, help=text("cli.policy.help"), epilog=text("cli.policy.epilog"))
def policy(context: typer.Context, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        _serve(read_config(config_file, with_secrets=False))


@app.command(help=text("cli.policy.run"))
def run(config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Serve until told to stop."""
    _serve(read_config(config_file, with_secrets=False))


def _serve(config: "Config") -> None:
    from storage.database.database import is_there
    from storage.database.refusals import DatabaseRefused
    from storage.journal.disk import make_folder
    from storage.policy_server.tables import FOLDER

    from .terminal.logging_setup import set_up_logging

    if config.policy_server.server_name is None:
        raise Refused("cli.policy.off")
    try:
        if not is_there(config.place):
            raise Refused("cli.policy.no_data", data_dir=config.data_dir)
    except DatabaseRefused as error:  # it answers without tables, too, and reads them when they are back
        if not error.patience_s:
            raise
    drop_root(config.data_dir)
    folder = config.data_dir / FOLDER
    with told_if_disk_fails(config.place):
        make_folder(folder, 0o700)
        set_up_logging(as_json=None if config.bot.log == "auto" else config.bot.log == "json", verbose=False)
        with only_instance(folder, "cli.policy.second"):
            asyncio.run(_until_stopped(config))


async def _until_stopped(config: "Config") -> None:
    from bot.policy_server.process import serve

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await serve(config, stop, asyncio.Event())
    except OSError as error:
        why = error.strerror or str(error)
        raise Refused("cli.policy.taken", listen=config.policy_server.listen, why=why) from None
