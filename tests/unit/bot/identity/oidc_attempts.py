"""Attempts to verify by OIDC against an issuer of the tests: by device and by link."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from bot.config.oidc import OidcSettings
from bot.identity.method import DialogueStep
from bot.identity.oidc import LoginPage, Oidc
from bot.identity.oidc_exchange import Issuer
from bot.runtime.clock import wall_clock
from moderation.values.ids import UserId
from tests.fakes.hostile_issuer import CLIENT, HostileIssuer, Wrong

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
PUBLIC = "https://bot.example.org"
SECRET = "kept to ourselves"


def method(*issuers: HostileIssuer, public: str | None = None, timeout_s: float = 120.0, **more: Any) -> Oidc:
    made = []
    for number, each in enumerate(issuers):
        settings: dict[str, Any] = {"name": f"club-{number}", "title": "The club", "client_id": CLIENT, **more}
        made.append(Issuer(OidcSettings(issuer=each.url, **settings), SecretStr(SECRET), timeout_s))
    return Oidc(made, wall_clock, public)


async def by_device(issuer: HostileIssuer, wrong: Wrong, **more: Any) -> DialogueStep:
    """Return the result of a login by device code whose answers are `wrong`."""
    oidc = method(issuer, **more)
    begun = await oidc.begin(ANN, "", wall_clock())
    assert begun.state is not None
    issuer.wrong = wrong
    return await oidc.poll(ANN, begun.state, wall_clock())


async def by_link(oidc: Oidc, issuer: HostileIssuer, **query: str) -> tuple[DialogueStep, LoginPage]:
    """Begin, and come back as if a browser had logged in; `query` overrides its parameters."""
    begun = await oidc.begin(ANN, "", wall_clock())
    asked = link_of(begun)
    issuer.nonce = asked["nonce"]
    return begun, await oidc.arrived("club-0", {"code": "c", "state": asked["state"], **query})


def whenever(step: DialogueStep) -> DialogueStep:
    """Return the step without the time until which its proof is valid."""
    return replace(step, proof=replace(step.proof, until_ms=0)) if step.proof is not None else step


def link_of(step: DialogueStep) -> dict[str, str]:
    query = parse_qs(urlsplit(str(step.lines[0].fields["link"])).query)
    return {name: value for name, (value,) in query.items()}


def number_of(page: LoginPage) -> str:
    assert re.fullmatch(r"[0-9]{4} [0-9]{4}", page.number)
    return page.number
