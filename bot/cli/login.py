"""`answerable login`: log the bot's account in again; the configuration stays as it is.

``--json``: `user`, `device`, `new` (false: the stored session holds, so nothing was done).

Rules kept here:
- The device stays the same, so what was encrypted for it stays readable.
- The password is used once and stored nowhere.

Left to others: trying until it works (`logging_in.py`), storing the session (`session.py`), the first set-up
(`init/command.py`).
"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.terminal.ask import credential
from bot.cli.terminal.options import DEFAULT_CONFIG, AsJson, ConfigFile, new_app, read_config
from bot.cli.terminal.output import say_done, text
from bot.cli.terminal.progress import progress
from moderation.values.notices import Who

from .logging_in import logged_in

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.client import Session

app = new_app("cli.login.help")

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help=text("cli.init.option.password_stdin"))]
PasswordEnv = Annotated[str, typer.Option("--password-env", help=text("cli.init.option.password_env"))]
TokenStdin = Annotated[bool, typer.Option("--token-stdin", help=text("cli.init.option.token_stdin"))]


@app.command(help=text("cli.login.help"), epilog=text("cli.login.epilog"))
def login(
    password_stdin: PasswordStdin = False,
    password_env: PasswordEnv = "",
    token_stdin: TokenStdin = False,
    json: AsJson = False,
    config_file: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Log in again."""
    from .session import store_session

    config = read_config(config_file)
    with progress():
        session = asyncio.run(_present(config))
    if new := session is None:
        by_option = password_stdin or password_env or token_stdin
        given = credential(password_stdin, password_env, token_stdin) if by_option else None
        session, _ = logged_in(lambda _: config, config.user, given, other=lambda user: user)
        store_session(config.env_file, session)
    key = "cli.login.done" if new else "cli.login.holds"
    done = {"user": session.user, "device": session.device, "new": new}
    say_done(done, key, json=json, user=Who(session.user), env=config.env_file)


async def _present(config: "Config") -> "Session | None":
    """Return the stored session, if the homeserver still accepts it."""
    from bot.cli.session import present_token, stored_session
    from bot.matrix.errors import LoggedOut

    token = await present_token(config)
    if token is None:
        return None
    try:
        return await stored_session(config, token)
    except LoggedOut:
        return None
