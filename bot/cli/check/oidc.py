"""The checks of the issuers of `[[oidc]]`: each is asked what it offers; nobody is logged in."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.cli.terminal.output import text

from .findings import Finding, note, ok, problem, warning

if TYPE_CHECKING:
    from bot.config.config import Config
    from bot.config.oidc import OidcSettings


def issuers(config: "Config") -> Iterator[Finding]:
    """Yield all findings about issuers; none if none is configured."""
    for settings in config.oidc:
        yield asyncio.run(_offered(config, settings))
        if config.secrets.oidc.get(settings.secret_variable) is None:
            yield note("issuer", "issuer_public", issuer=settings.name, variable=settings.secret_variable)
    for variable in sorted(config.secrets.oidc.keys() - {each.secret_variable for each in config.oidc}):
        yield warning("issuer", "issuer_secret_unused", variable=variable)


async def _offered(config: "Config", settings: "OidcSettings") -> Finding:
    from bot.identity.oidc import Oidc
    from bot.identity.oidc_discovery import Untrusted
    from bot.identity.oidc_exchange import Issuer
    from bot.matrix.other_servers import NoAnswer

    issuer = Issuer(settings, config.secrets.oidc.get(settings.secret_variable))
    oidc = Oidc([issuer], lambda: 0, config.callback.public_url)
    try:
        way = oidc.way(issuer, await issuer.discover())
    except NoAnswer as error:
        return problem("issuer", "issuer_unreachable", issuer=settings.name, url=settings.issuer, why=str(error))
    except Untrusted as error:
        why = text(f"oidc.why.{error.why}", detail=error.detail)
        return problem("issuer", "issuer_wrong", issuer=settings.name, why=why)
    if way == "code":
        return ok("issuer", "issuer_code", issuer=settings.name, back_to=oidc.back_to(settings.name))
    return ok("issuer", "issuer_device", issuer=settings.name)
