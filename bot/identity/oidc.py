"""Verification by a login at an issuer whom the operator trusts (OpenID Connect): a `Method`, level 3.

There are two ways. With a code, the member enters it at the issuer in any browser (device flow); nothing of ours has to
be reachable for it. With a link, the browser comes back to a page of ours (code flow with PKCE): this page shows a
number, which the member types in the chat. So a link that somebody else was talked into opening verifies nobody.

Rules kept here:
- A person is (issuer, subject).
- Code and link are told only to the person who began, and a login begun by one is never the proof of another.
- Any failure ends in a sentence for the person and leaves nothing behind; details for operators are in the log, without
  secrets.
- A device code is stored in the dialogue's state, which the dialogue seals.
Left to others: the protocol (`oidc_exchange.py`), the page (`oidc_callback.py`), when to poll and what a proof is worth
(`dialogue.py`).
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from bot.config.config import Config
from bot.matrix.other_servers import NoAnswer
from bot.runtime.clock import Clock
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.levels import REACHES
from moderation.values.notices import Code, Line, Moment, line

from .method import DialogueStep, MethodName, ProvedIdentity
from .oidc_discovery import Provider, Untrusted, Way
from .oidc_exchange import Denied, DeviceGrant, Issuer, Tokens
from .oidc_logins import Login, Logins
from .oidc_token import ClocksDiffer, NotHeld

State = Mapping[str, str | int]
log = structlog.get_logger()

LINK_LASTS_MS = 10 * 60_000
NUMBER_LASTS_MS = 5 * 60_000
LOOK_MS = 3_000  # interval for checking, in our own memory, whether the browser came back
_SLOWER_S, _SLOWEST_S = 5, 60
_FAILURES = (NoAnswer, Untrusted, NotHeld, Denied)

# The texts of the page for the browser that came back: `oidc.page.*`.
PageKey = Literal["number", "failed", "stale"]


@dataclass(frozen=True, slots=True)
class LoginPage:
    """The contents of the page."""

    key: PageKey
    number: str = ""


class Oidc:
    """The method `oidc`, with all issuers of the configuration."""

    name: MethodName = "oidc"
    level: int = int(REACHES["oidc"])

    def __init__(self, issuers: Sequence[Issuer], clock: Clock, public_url: str | None = None) -> None:
        self._issuers = {issuer.settings.name: issuer for issuer in issuers}
        self._clock = clock
        self._public_url = public_url
        self._logins = Logins()
        self._providers: dict[str, Provider] = {}

    @classmethod
    def of(cls, config: Config, clock: Clock) -> "Oidc | None":
        """Return the configured method; None without an issuer."""
        if not config.oidc:
            return None
        issuers = [Issuer(each, config.secrets.oidc.get(each.secret_variable)) for each in config.oidc]
        return cls(issuers, clock, config.callback.public_url)

    # For the dialogue.

    async def begin(self, user: UserId, words: str, now_ms: int) -> DialogueStep:
        """Ask the issuer, and tell the person where to log in. Raises `Refused`."""
        issuer = self._chosen(words)
        try:
            return await self._begin(user, issuer, now_ms)
        except _FAILURES as error:
            raise Refused(_said(issuer, error), issuer=issuer.settings.shown) from None

    async def poll(self, user: UserId, state: State, now_ms: int) -> DialogueStep:
        """Return whether the person has logged in, as a step of the dialogue."""
        if "device_code" in state:
            return await self._poll_device(state, now_ms)
        login = self._logins.find(user, state.get("ref"))
        if login is None or now_ms >= login.until_ms or login.failure:
            return self._over(login)
        return _goes_on(login, *([line("oidc.number", issuer=login.issuer.settings.shown)] if login.ask() else []))

    async def answer(self, user: UserId, words: str, state: State, now_ms: int) -> DialogueStep:
        """Compare the number that the page showed after a login by link. Raises `Refused`."""
        if "device_code" in state:
            raise Refused("oidc.enter-there", link=str(state["link"]), code=Code(str(state["user_code"])))
        login = self._logins.find(user, state.get("ref"))
        if login is None or now_ms >= login.until_ms or login.failure:
            return self._over(login)
        if login.proof is None:
            raise Refused("oidc.login-first", issuer=login.issuer.settings.shown, until=login.until_ms)
        if not hmac.compare_digest(_digits(words), login.number):
            return self._wrong_number(login)
        self._logins.drop(user)
        return DialogueStep(proof=login.proof)

    # For the page.

    def back_to(self, name: str) -> str:
        """Return the address to which an issuer sends browsers back (its redirect URI)."""
        return f"{self._public_url}/oidc/{name}"

    async def arrived(self, name: str, query: Mapping[str, str]) -> LoginPage:
        """Handle a browser that came back from the issuer `name`."""
        login = self._logins.take(query.get("state", ""), self._clock())
        if login is None:
            return LoginPage("stale")
        try:
            proof = await self._proved(login, name, query)
        except _FAILURES as error:
            login.fail(_said(login.issuer, error))
            return LoginPage("failed")
        number = login.prove(proof, self._clock() + NUMBER_LASTS_MS)
        return LoginPage("number", f"{number[:4]} {number[4:]}")

    async def _proved(self, login: Login, name: str, query: Mapping[str, str]) -> ProvedIdentity:
        """Redeem the code that the browser brought. Raises what `Issuer` raises."""
        if name != login.issuer.settings.name:  # mix-up attack (RFC 9207)
            raise Untrusted("answer", "the browser came back from another issuer")
        now_s = self._clock() // 1000
        return await login.issuer.returned(login.provider, login.challenge, query, self.back_to(name), now_s)

    # Pieces.

    def _chosen(self, words: str) -> Issuer:
        asked = words.strip().lower()
        if not asked and len(self._issuers) == 1:
            return next(iter(self._issuers.values()))
        if asked not in self._issuers:
            example = Code(f"!verify oidc {next(iter(self._issuers))}")
            raise Refused("oidc.which", names=Code(", ".join(self._issuers)), example=example)
        return self._issuers[asked]

    async def _begin(self, user: UserId, issuer: Issuer, now_ms: int) -> DialogueStep:
        """Begin with the issuer. Raises `Refused`, and what `Issuer` raises."""
        provider = self._providers[issuer.settings.name] = await issuer.discover()
        if self.way(issuer, provider) == "device":
            return self._by_device(issuer, await issuer.begin_device(provider), now_ms)
        return self._by_link(Login(user, issuer, provider, now_ms + LINK_LASTS_MS), now_ms)

    def way(self, issuer: Issuer, provider: Provider) -> Way:
        """Return the way to log in there: by link if both are possible. Raises `Untrusted`.

        The link is better because other people can be talked into entering a code.
        """
        ways = [each for each in provider.ways if each == "device" or self._public_url is not None]
        if issuer.settings.flow != "auto":
            ways = [each for each in ways if each == issuer.settings.flow]
        if not ways:
            raise Untrusted("flow", ", ".join(provider.ways) or "-")
        return ways[0]

    def _by_device(self, issuer: Issuer, grant: DeviceGrant, now_ms: int) -> DialogueStep:
        shown, until_ms = issuer.settings.shown, now_ms + grant.expires_s * 1000
        told = line("oidc.device", issuer=shown, link=grant.link, code=Code(grant.user_code), until=Moment(until_ms))
        state: State = {
            "issuer": issuer.settings.name,
            "device_code": grant.device_code,
            "user_code": grant.user_code,
            "link": grant.link,
            "interval": grant.interval_s,
            "until": until_ms,
        }
        return _asks_again(state, grant.interval_s, told)

    async def _poll_device(self, state: State, now_ms: int) -> DialogueStep:
        """Ask for the result of a device login, less often after no answer or "slow_down" (RFC 8628, section 3.5)."""
        issuer, wait_s = self._issuers.get(str(state["issuer"])), int(state["interval"])
        if issuer is None:  # no longer in the settings
            return self._over(None)
        try:
            provider = await self._known(issuer)
            found = await issuer.ask_device(provider, str(state["device_code"]))
        except NoAnswer as error:
            log.info("oidc_no_answer", issuer=issuer.settings.name, why=str(error))
            return _asks_again(state, min(wait_s * 2, _SLOWEST_S))
        except _FAILURES as error:
            return _ended(issuer, _said(issuer, error))
        if isinstance(found, Tokens):
            return await self._by_tokens(issuer, provider, found, now_ms)
        return _asks_again(state, wait_s + (_SLOWER_S if found == "slower" else 0))

    async def _by_tokens(self, issuer: Issuer, provider: Provider, tokens: Tokens, now_ms: int) -> DialogueStep:
        try:
            return DialogueStep(proof=await issuer.person(provider, tokens, now_ms // 1000))
        except _FAILURES as error:
            return _ended(issuer, _said(issuer, error))

    def _by_link(self, login: Login, now_ms: int) -> DialogueStep:
        if not self._logins.add(login, now_ms):
            raise Refused("oidc.busy")
        settings = login.issuer.settings
        link = login.issuer.login_link(login.provider, login.challenge, self.back_to(settings.name))
        return _goes_on(login, line("oidc.link", issuer=settings.shown, link=link, until=Moment(login.until_ms)))

    def _over(self, login: Login | None) -> DialogueStep:
        """End a login that failed or expired, or is unknown since a restart or because the person began another."""
        if login is None:
            return DialogueStep(lines=(line("oidc.gone"),))
        self._logins.drop(login.user)
        return _ended(login.issuer, login.failure or "oidc.expired")

    def _wrong_number(self, login: Login) -> DialogueStep:
        if (left := login.try_again()) > 0:
            raise Refused("oidc.number-wrong", left=left)
        self._logins.drop(login.user)
        return _ended(login.issuer, "oidc.number-spent")

    async def _known(self, issuer: Issuer) -> Provider:
        """Return what the issuer offered when somebody last began; ask again after a restart."""
        name = issuer.settings.name
        if name not in self._providers:
            self._providers[name] = await issuer.discover()
        return self._providers[name]


def _goes_on(login: Login, *lines: Line) -> DialogueStep:
    """Keep polling for the browser until the person has been told to type the number it shows."""
    poll_ms = 0 if login.asked else LOOK_MS
    return DialogueStep(lines=lines, state={"ref": login.ref}, until_ms=login.until_ms, poll_ms=poll_ms)


def _asks_again(state: State, interval_s: int, *lines: Line) -> DialogueStep:
    kept = {**state, "interval": interval_s}
    return DialogueStep(lines=lines, state=kept, until_ms=int(state["until"]), poll_ms=interval_s * 1000)


def _ended(issuer: Issuer, key: str) -> DialogueStep:
    return DialogueStep(lines=(line(key, issuer=issuer.settings.shown),))


def _said(issuer: Issuer, error: Exception) -> str:
    """Return the message key of a failure; the details go to the log."""
    if isinstance(error, Denied):
        return "oidc.expired" if error.over else "oidc.denied"
    log.warning("oidc_failed", issuer=issuer.settings.name, why=str(error))
    if isinstance(error, NoAnswer):
        return "oidc.unreachable"
    return "oidc.clocks" if isinstance(error, ClocksDiffer) else "oidc.unusable"


def _digits(words: str) -> str:
    """Return the digits of a number as ASCII, however it is grouped and whichever script it is typed in."""
    return "".join(str(int(sign)) for sign in words if sign.isdecimal())
