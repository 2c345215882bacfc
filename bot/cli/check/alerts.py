"""The checks of `[alerts]`: the key that signs, and whether the webhook's server can be reached. Nothing is posted."""

import asyncio
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.cli.terminal.output import why_of

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config

_PATIENCE_S = 10.0


def alerts(config: "Config") -> Iterator[Finding]:
    """Yield all findings about alerts; none if nobody is told. The mail server has a check of its own."""
    from bot.config.alerts import signing_key
    from moderation.values.errors import Refused

    own = config.alerts
    if own.mail:
        yield ok("alerts", "alerts_mail", count=len(own.mail))
    if own.webhook is None:
        if config.secrets.alerts is not None:
            yield warning("alerts", "alerts_secret_unused")
        return
    try:
        signing_key(config.secrets.alerts)
    except Refused as error:
        yield problem("alerts", "alerts_unsigned", why=why_of(error))
    yield asyncio.run(_reached(own.webhook))


async def _reached(url: str) -> Finding:
    parts = urlsplit(url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            context = ssl.create_default_context() if tls else None
            _, writer = await asyncio.open_connection(host, parts.port or (443 if tls else 80), ssl=context)
            writer.close()
    except (OSError, TimeoutError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return problem("alerts", "alerts_unreachable", host=host, why=why)
    return ok("alerts", "alerts", host=host)
