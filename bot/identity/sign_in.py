"""Logging in at an issuer to come into the web console (OpenID Connect, code flow with PKCE).

Rules kept here:
- A login belongs to the browser that began it, and works once and for ten minutes.
- The issuer says who somebody is; whose account that is was proved before, by `!verify` (`oidc.py`).
- Logins are only in memory, and there are not many at a time: anybody can begin one.

Left to others: the protocol (`oidc_exchange.py`), sessions (`bot/admin/console_sign_in.py`), pages (`bot/console/`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bot.config.config import Config
from bot.matrix.other_servers import NoAnswer
from bot.runtime.clock import Clock
from moderation.values.errors import Refused

from .method import ProvedIdentity
from .oidc_discovery import Provider, Untrusted
from .oidc_exchange import BrowserLogin, Denied, Issuer
from .oidc_token import NotHeld

log = structlog.get_logger()

LASTS_MS = 10 * 60_000
MOST = 1_000  # at a time; the oldest make room
KNOWN_FOR_MS = 60_000
_FAILURES = (NoAnswer, Untrusted, NotHeld, Denied)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A login that was begun. `browser`: the SHA-256 of what the browser holds that began it."""

    issuer: Issuer
    provider: Provider
    browser: str
    until_ms: int
    challenge: BrowserLogin = field(default_factory=BrowserLogin, repr=False)


class SignIns:
    """All such logins, at the issuers of the configuration."""

    def __init__(self, issuers: Sequence[Issuer], clock: Clock, public_url: str) -> None:
        self._issuers = {issuer.settings.name: issuer for issuer in issuers}
        self._clock = clock
        self._public_url = public_url
        self._begun: dict[str, SignIn] = {}
        self._providers: dict[str, tuple[int, Provider]] = {}  # when it was asked, and what it offers

    @classmethod
    def of(cls, config: Config, clock: Clock) -> "SignIns | None":
        """Return those of the configuration; None without an issuer, or an address to which browsers come back."""
        if not config.oidc or config.console.public_url is None:
            return None
        issuers = [Issuer(each, config.secrets.oidc.get(each.secret_variable)) for each in config.oidc]
        return cls(issuers, clock, config.console.public_url)

    async def begin(self, name: str, browser: str) -> str:
        """Return the address at the issuer where a browser logs in. Raises `Refused`."""
        now_ms = self._clock()
        self._begun = {state: each for state, each in self._begun.items() if now_ms < each.until_ms}
        issuer = self._issuers.get(name)
        if issuer is None or not browser:
            raise Refused("console.sign-in.stale")
        try:
            provider = await self._known(issuer, now_ms)
            if "code" not in provider.ways:
                raise Untrusted("flow", ", ".join(provider.ways) or "-")
        except _FAILURES as error:
            raise _refusal(issuer, error) from None
        begun = SignIn(issuer, provider, browser, now_ms + LASTS_MS)
        while len(self._begun) >= MOST:
            del self._begun[next(iter(self._begun))]
        self._begun[begun.challenge.state] = begun
        return issuer.login_link(provider, begun.challenge, self._back_to(name))

    async def _known(self, issuer: Issuer, now_ms: int) -> Provider:
        """Return what an issuer offers; it is asked once a minute at most, however many logins are begun."""
        known = self._providers.get(issuer.settings.name)
        if known is None or not 0 <= now_ms - known[0] < KNOWN_FOR_MS:
            known = self._providers[issuer.settings.name] = now_ms, await issuer.discover()
        return known[1]

    async def proved(self, name: str, browser: str, query: Mapping[str, str]) -> ProvedIdentity:
        """Return who came back from the issuer. Raises `Refused`."""
        begun, now_ms = self._begun.pop(query.get("state", ""), None), self._clock()
        if begun is None or now_ms >= begun.until_ms or begun.browser != browser:
            raise Refused("console.sign-in.stale")
        try:
            if name != begun.issuer.settings.name:  # mix-up attack (RFC 9207)
                raise Untrusted("answer", "the browser came back from another issuer")
            back_to = self._back_to(name)
            return await begun.issuer.returned(begun.provider, begun.challenge, query, back_to, now_ms // 1000)
        except _FAILURES as error:
            raise _refusal(begun.issuer, error) from None

    def _back_to(self, name: str) -> str:
        return f"{self._public_url}/sign-in/{name}"


def _refusal(issuer: Issuer, error: Exception) -> Refused:
    """Say that it did not work; the details go to the log, without secrets."""
    if not isinstance(error, Denied):
        log.warning("oidc_failed", issuer=issuer.settings.name, why=str(error))
    return Refused("console.sign-in.failed", issuer=issuer.settings.shown)
