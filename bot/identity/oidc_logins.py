"""The logins from which a browser is to come back to us, in memory.

Rules kept here: a login belongs to the person who began it, and a person has one; what a browser brings back is used
once, whatever becomes of it; so many at most, and none longer than its time. In memory only: the browser brings no key
with which anything on disk could be opened, and verifier and nonce are good for minutes; after a restart people are
told to begin again. (A device code is kept in the dialogue, which is sealed, and so outlives a restart.)
Left to others: what is asked of the issuer (`oidc_exchange.py`), what people are told (`oidc.py`).
"""

import secrets
from dataclasses import dataclass, field

from moderation.values.ids import UserId

from .method import ProvedIdentity
from .oidc_discovery import Provider
from .oidc_exchange import BrowserLogin, Issuer

MOST = 1_000
TRIES = 3


@dataclass(slots=True)
class Login:
    """One login."""

    user: UserId
    issuer: Issuer
    provider: Provider
    until_ms: int
    challenge: BrowserLogin = field(default_factory=BrowserLogin)
    ref: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    proof: ProvedIdentity | None = field(default=None, repr=False)
    number: str = field(default="", repr=False)  # what the page showed
    asked: bool = False  # the person was told to type it
    tries_left: int = TRIES
    failure: str = ""  # a message key


class Logins:
    """All of them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._logins: dict[UserId, Login] = {}
        self._by_state: dict[str, Login] = {}

    def add(self, login: Login, now_ms: int) -> bool:
        """Keep it, instead of an earlier one of the same person. False if there are too many."""
        self.drop(login.user)
        for user in [user for user, each in self._logins.items() if each.until_ms <= now_ms]:
            self.drop(user)
        if len(self._logins) >= self._most:
            return False
        self._logins[login.user] = login
        self._by_state[login.challenge.state] = login
        return True

    def find(self, user: UserId, ref: object) -> Login | None:
        """The person's login, if it is still this one."""
        login = self._logins.get(user)
        return login if login is not None and login.ref == ref else None

    def take(self, state: str, now_ms: int) -> Login | None:
        """The login that a browser comes back for; a second time there is none."""
        login = self._by_state.pop(state, None)
        return login if login is not None and now_ms < login.until_ms else None

    def drop(self, user: UserId) -> None:
        """Forget it."""
        if (login := self._logins.pop(user, None)) is not None:
            self._by_state.pop(login.challenge.state, None)
