"""Errors about keys, divided by who can resolve them."""

from moderation.values.errors import AnswerableError


class CryptoError(AnswerableError):
    """Base class of the errors about keys."""


class WrongKey(CryptoError):
    """Raised if a key does not open what it should: a mistyped recovery key, the store key of another store."""


class StoreLost(CryptoError):
    """Raised if the homeserver knows other keys for this device: its store is lost. Log in again as a new device."""


class NeedsPassword(CryptoError):
    """Raised if the homeserver wants the account's password before it changes keys.

    `stages` are the ways to authenticate that it accepts; they may work only in a browser.
    """

    def __init__(self, stages: tuple[tuple[str, ...], ...]) -> None:
        self.stages = stages
        super().__init__("the homeserver asks for " + (" or ".join(" + ".join(each) for each in stages) or "more"))


class NotOurs(CryptoError):
    """Raised if the keys at the homeserver are not ours, or we hold none; they are never changed unasked."""


class NotTrusted(CryptoError):
    """Raised if something that we should have signed is not signed, or was altered."""
