"""`answerable console [run | sessions | end]`: the web console, and the way in for operators.

``--json`` of `sessions`: objects with the keys `session` (its first letters), `by` (an account of this machine; "": the
person came by a link in chat), `user`, `since` and `used` (0: not known).

Rules kept here:
- A link is given to the account that runs the bot, and to root. It opens the console as an operator.
- There is one console for a data directory.
- What faces browsers reads no secret: neither the access token nor any other.

Left to others: the pages (`bot/console/`).
"""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moderation.values.errors import Refused
from moderation.values.ids import NO_USER

from .access.access_reason import user
from .access.admin_client import perform
from .access.lookup import now_ms, read
from .access.operator import AS, operator_of
from .run import drop_root, only_instance, running_pid
from .terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from .terminal.output import say, tell, text
from .terminal.tables import list_rows

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config.config import Config

_SHOWN = 8  # letters of a session's hash
As = Annotated[str | None, typer.Option(AS, metavar="@OP:SERVER", help=text("cli.console.as"))]

app = new_app("cli.console.help")


@app.callback(invoke_without_command=True, help=text("cli.console.help"), epilog=text("cli.console.epilog"))
def console(context: typer.Context, config_file: ConfigFile = DEFAULT_CONFIG, named: As = None) -> None:
    """Print a link, and serve the console if it is not served yet."""
    if context.invoked_subcommand is not None:
        return
    config = read_config(config_file, with_secrets=False)
    _must_have_data(config)
    if running_pid(_folder(config)) is not None:
        _print_link(config, named)
        return
    _serve(config, named, link=True)


@app.command(help=text("cli.console.run"))
def run(config_file: ConfigFile = DEFAULT_CONFIG) -> None:
    """Serve the console."""
    config = read_config(config_file, with_secrets=False)
    _must_have_data(config)
    _serve(config, None, link=False)


@app.command(help=text("cli.console.sessions"))
def sessions(config_file: ConfigFile = DEFAULT_CONFIG, json: AsJson = False) -> None:
    """List who is in."""
    rows = [{**row, "session": row["session"][:_SHOWN]} for row in _sessions(read_config(config_file))]
    list_rows(rows, ("session", "by", "user", "since", "used"), {}, json=json, none="cli.console.nobody")


@app.command(help=text("cli.console.end"))
def end(
    which: Annotated[str | None, typer.Argument(metavar="[SESSION]", help=text("cli.console.which"))] = None,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """End sessions: an operator's here, a person's by the bot, which records it."""
    from bot.console.sessions import end_session

    config = read_config(config_file)
    rows = _sessions(config)
    ending = [row for row in rows if which is None or row["session"].startswith(which.lower())]
    if which is not None and not ending:
        raise Refused("cli.console.unknown", which=which[:64])
    for row in ending:
        if not end_session(config.data_dir, row["session"]):
            perform(config, "console-end", key=row["session"], why="operator", reader=user())
    say("cli.console.ended", count=len(ending))


def _sessions(config: "Config") -> list[dict[str, Any]]:
    """Return the sessions of operators and of people; only of operators is it known when they were last used."""
    from bot.console.sessions import operator_sessions
    from storage.queries import console_sessions

    _must_have_data(config)
    operators = [
        {
            "session": each.visitor.key,
            "by": each.visitor.by,
            "user": each.visitor.user,
            "since": each.visitor.since_ms,
            "used": each.used_ms,
        }
        for each in operator_sessions(config.data_dir, now_ms())
    ]
    people = [
        {"session": key, "by": "", "user": each.user, "since": each.at, "used": 0}
        for key, each in read(config, console_sessions, now_ms()).items()
    ]
    return [*operators, *people]


def _folder(config: "Config") -> "Path":
    from bot.console.sessions import FOLDER

    return config.data_dir / FOLDER


def _must_have_data(config: "Config") -> None:
    from storage.database.database import is_there

    if not is_there(config.place):
        raise Refused("cli.console.no_data", data_dir=config.data_dir)


def _print_link(config: "Config", named: str | None) -> None:
    from bot.console.sessions import make_link

    acts_as = operator_of(config, named) if named or len(config.bot.operators) == 1 else NO_USER
    token = make_link(config.data_dir, user(), acts_as, now_ms())
    place = config.console.public_url if config.console.operators_need else f"http://{config.console.listen}"
    say("cli.console.link", link=f"{place}/enter/{token}")


def _serve(config: "Config", named: str | None, *, link: bool) -> None:
    from bot.console.sessions import make_folder

    from .terminal.logging_setup import set_up_logging

    drop_root(config.data_dir)
    make_folder(config.data_dir)
    set_up_logging(as_json=None if config.bot.log == "auto" else config.bot.log == "json", verbose=False)
    with only_instance(_folder(config), "cli.console.second"):
        asyncio.run(_until_stopped(config, named, link=link))


async def _until_stopped(config: "Config", named: str | None, *, link: bool) -> None:
    from bot.console.app import serve

    stop, listening = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = asyncio.ensure_future(serve(config, stop, listening))
    waiting = asyncio.ensure_future(listening.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not serving.done() and link:
        _print_link(config, named)
        tell("cli.console.serving")
    try:
        await serving
    except OSError as error:
        why = error.strerror or str(error)
        raise Refused("cli.console.taken", listen=config.console.listen, why=why) from None
