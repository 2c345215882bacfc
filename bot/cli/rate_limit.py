"""`answerable rate-limit`: find out whether the homeserver limits the bot's account, or lift the limit.

``--json``: `user`, `limit` (free, limited, lifted, not_admin or unknown).

Rules kept here:
- What is found out is kept for `answerable check` and for the next start of the bot, and a running bot is told.
- Without an admin's token the bot must be stopped, since the trial uses up what it may send in the next minute.

Left to others: the trial (`bot/matrix/rate_limit.py`).
"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.terminal.ask import secret_from_stdin
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import FAILED, say_done, text
from bot.cli.terminal.progress import progress
from moderation.values.errors import Refused
from moderation.values.notices import Who

from .access.admin_client import perform
from .access.lookup import now_ms
from .run import make_data_dir, running_pid

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.rate_limit import Limit

app = new_app("cli.rate_limit.help")

AdminTokenStdin = Annotated[bool, typer.Option("--admin-token-stdin", help=text("cli.init.option.admin_token_stdin"))]


@app.command(help=text("cli.rate_limit.help"), epilog=text("cli.rate_limit.epilog"))
def rate_limit(
    admin_token_stdin: AdminTokenStdin = False, json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Find out, or lift."""
    from bot.matrix.known_limit import remember_limit

    config = read_config(config_file)
    token = secret_from_stdin("--admin-token-stdin") if admin_token_stdin else ""
    if not token and running_pid(config.data_dir) is not None:
        raise Refused("cli.rate_limit.runs")
    with progress():
        limit = asyncio.run(_of_bot(config, token))
    make_data_dir(config.data_dir)
    remember_limit(config.data_dir, limit, now_ms())
    done = {"user": config.user, "limit": limit}
    say_done(done, f"cli.rate_limit.{limit}", json=json, user=Who(config.user), url=config.homeserver.url)
    if limit in ("free", "lifted", "limited") and running_pid(config.data_dir) is not None:
        perform(config, "rate-limit", limit=limit)
    if limit in ("limited", "not_admin", "unknown"):
        raise typer.Exit(FAILED)


async def _of_bot(config: "Config", admin_token: str) -> "Limit":
    from bot.matrix.client import Homeserver
    from bot.matrix.rate_limit import find_out

    from .session import open_session

    homeserver = Homeserver(await open_session(config))
    try:
        return await find_out(homeserver, admin_token)
    finally:
        await homeserver.close()
