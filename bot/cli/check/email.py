"""The checks of the mail server that sends the codes of verification. They send no mail."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config


def email(config: "Config") -> Iterator[Finding]:
    """Yield all findings about the mail server; none if none is configured."""
    from bot.config.oidc import is_loopback
    from bot.identity.mailer import Mailer
    from bot.identity.method import Unavailable

    own = config.email
    if not own.host:
        return
    if own.security == "none" and not is_loopback(own.host):
        yield warning("email", "email_plain", host=own.host)
    try:
        asyncio.run(Mailer(own, config.secrets.email_password, config.file.parent).check())
    except Unavailable as error:
        yield problem("email", "email_unreachable", host=own.host, port=str(own.port), why=error.why)
    else:
        yield ok("email", "email", host=own.host)
