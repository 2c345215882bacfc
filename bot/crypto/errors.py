"""What can go wrong with keys, split by who can mend it."""

from moderation.values.errors import AnswerableError


class CryptoError(AnswerableError):
    """The root."""


class WrongKey(CryptoError):
    """A key does not open what it should: a mistyped recovery key, the store key of another store."""


class StoreLost(CryptoError):
    """The homeserver knows other keys for this device: its store is gone. Log in anew; a new device is made."""


class NeedsPassword(CryptoError):
    """The homeserver wants the account's password (or takes it only in a browser: `stages`) before it changes keys."""

    def __init__(self, stages: tuple[tuple[str, ...], ...]) -> None:
        self.stages = stages
        super().__init__("the homeserver asks for " + (" or ".join(" + ".join(each) for each in stages) or "more"))


class NotOurs(CryptoError):
    """The keys at the homeserver are not those we hold, or we hold none; nothing is done with them unasked."""


class NotTrusted(CryptoError):
    """Something that should have been signed by us is not."""
