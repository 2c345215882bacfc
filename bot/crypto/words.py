"""Maps the states of encryption to texts of the message files."""

from moderation.values.notices import Phrase

from .cross_signing import KeyState


def of_keys(state: KeyState) -> Phrase:
    """Return the text about the state of the account's keys and this device, and what to do."""
    return Phrase(f"crypto.state.{state.value}")


def of_emoji(name: str) -> Phrase:
    """Return the name of a picture."""
    return Phrase(f"crypto.emoji.{name}")
