"""The logins for which a browser is expected to come back to us, in memory.

Rules kept here:
- A login belongs to the person who began it, and a person has only one.
- What a browser brings back can be used only once, whatever the result.
- The number of logins is limited, and none outlives its time.
- They are only in memory: the browser brings no key that could open anything on disk, and verifier and nonce are valid
  only for minutes. After a restart people are told to begin again. (A device code is in the dialogue, which is
  sealed, and so survives a restart.)
Left to others: requests to the issuer (`oidc_exchange.py`), what people are told (`oidc.py`).
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
    number: str = field(default="", repr=False)  # the number that the page showed
    asked: bool = False  # the person was told to type it
    tries_left: int = TRIES
    failure: str = ""  # a message key

    def fail(self, message: str) -> None:
        """End the login with a message key that says why."""
        self.failure = message

    def prove(self, proof: ProvedIdentity, until_ms: int) -> str:
        """Take what the issuer said of the person. Returns the number that the page shows, to be told before a time."""
        self.proof = proof
        self.number = f"{secrets.randbelow(10**8):08}"
        self.until_ms = max(self.until_ms, until_ms)
        return self.number

    def ask(self) -> bool:
        """Tell whether the person is to be asked for the number now: once, after the page has shown it."""
        before, self.asked = self.asked, self.proof is not None
        return self.asked and not before

    def try_again(self) -> int:
        """Count a wrong number. Returns how many tries are left."""
        self.tries_left -= 1
        return self.tries_left


class Logins:
    """All logins in progress."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._logins: dict[UserId, Login] = {}
        self._by_state: dict[str, Login] = {}

    def add(self, login: Login, now_ms: int) -> bool:
        """Add a login, replacing an earlier one of the same person. Returns False if there are too many."""
        self.drop(login.user)
        for user in [user for user, each in self._logins.items() if each.until_ms <= now_ms]:
            self.drop(user)
        if len(self._logins) >= self._most:
            return False
        self._logins[login.user] = login
        self._by_state[login.challenge.state] = login
        return True

    def find(self, user: UserId, ref: object) -> Login | None:
        """Return the person's login if it still has this `ref`."""
        login = self._logins.get(user)
        return login if login is not None and login.ref == ref else None

    def take(self, state: str, now_ms: int) -> Login | None:
        """Return the login for which a browser comes back, only once; None if it is unknown or over."""
        login = self._by_state.pop(state, None)
        return login if login is not None and now_ms < login.until_ms else None

    def drop(self, user: UserId) -> None:
        """Forget a person's login."""
        if (login := self._logins.pop(user, None)) is not None:
            self._by_state.pop(login.challenge.state, None)
