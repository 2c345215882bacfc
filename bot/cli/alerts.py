"""`answerable alerts`: try the places of `[alerts]`.

``test --json``: a list of `channel`, `sent`, `why` ("": it was sent).

Left to others: the sending (`bot/effects/alert.py`), whether the places can be reached at all (`check/alerts.py`).
"""

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import typer

from bot.texts.catalog import Catalog
from moderation.values.errors import Refused
from moderation.values.notices import Code

from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import FAILED, as_json, say, text, why_of
from .terminal.progress import progress

if TYPE_CHECKING:
    from bot.config.config import Config

app = new_app("cli.alerts.help")


@app.callback()
def alerts() -> None:
    """Hold the commands."""


@app.command(help=text("cli.alerts.test_help"), epilog=text("cli.alerts.test_epilog"))
def test(json: AsJson = False, config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Send a test message to each place."""
    config = read_config(config_file)
    if not config.alerts.channels:
        raise Refused("cli.alerts.none")
    with progress():
        tried = asyncio.run(_tried(config))
    if json:
        as_json(tried)
    else:
        for each in tried:
            key = "cli.alerts.sent" if each["sent"] else "cli.alerts.failed"
            say(key, channel=each["channel"], why=each["why"])
    if not all(each["sent"] for each in tried):
        raise typer.Exit(FAILED)


async def _tried(config: "Config") -> list[dict[str, Any]]:
    from bot.effects.alert import AlertMessage, AlertSender
    from bot.identity.method import Unavailable
    from bot.matrix.other_servers import NoAnswer
    from bot.runtime.clock import wall_clock

    sender, tried = AlertSender(config, wall_clock), list[dict[str, Any]]()
    words = Catalog.load().text(config.bot.language, "alert.test", log=Code(config.origin))
    for channel in sender.channels:
        why = ""
        try:
            await sender.send(channel, AlertMessage(secrets.token_hex(8), "test", words))
        except (NoAnswer, Unavailable, Refused) as error:
            why = text("cli.alerts.refused") if isinstance(error, Refused) else why_of(error)
        tried.append({"channel": channel, "sent": not why, "why": why})
    return tried
