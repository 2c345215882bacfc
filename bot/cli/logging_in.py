"""The log-in of `init` and `login`, tried again until the homeserver accepts it.

Rules kept here:
- The password is used once and stored nowhere.
- The password is asked for again only if it was typed; one that came by an option ends the command.
- The wait that the homeserver asks for after wrong passwords is kept, and said.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.cli.terminal.ask import Credential, asked_secret
from bot.cli.terminal.output import tell, words_of
from moderation.values.errors import AnswerableError, Refused
from moderation.values.notices import Span

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.matrix.login import Session

_LONGEST_WAIT_MS = 120_000


def logged_in(
    config_for: Callable[[str], "Config"], user: str, given: Credential | None, *, other: Callable[[str], str]
) -> "tuple[Session, str]":
    """Return a session and the password.

    `config_for` gives the configuration with another account, `other` the account to try after a wrong password. Raises
    `Refused` for a credential that was given and does not work.
    """
    if given is not None:
        return asyncio.run(_session(config_for(user), given)), given.password
    while True:
        password = asked_secret("password", "--password-stdin")
        try:
            return asyncio.run(_session(config_for(user), Credential(password))), password
        except AnswerableError as error:
            sys.stderr.write(f"{words_of(error)}\n")
        user = other(user)


async def _session(config: "Config", how: Credential) -> "Session":
    from bot.cli.session import log_in, stored_session
    from bot.matrix.errors import LoggedOut, RateLimited, Rejected

    home = config.homeserver
    # With the device of an earlier set-up, messages encrypted for it stay readable.
    device = config.secrets.device_id
    while True:
        try:
            if how.token:
                return await stored_session(config, how.token)
            return await log_in(home.url, home.user, how.password, home.device_name, device)
        except LoggedOut as error:
            raise Refused("cli.init.wrong_token", url=home.url, detail=error.detail) from None
        except Rejected as error:
            raise Refused("cli.init.no_password_login", url=home.url, detail=error.detail) from None
        except RateLimited as error:
            if error.retry_after_ms > _LONGEST_WAIT_MS:
                raise
            tell("cli.init.too_many", url=home.url, wait=Span(error.retry_after_ms))
            await asyncio.sleep(error.retry_after_ms / 1000)
