"""The states of encryption as texts of the message files."""

from moderation.values.notices import Phrase

from .cross_signing import KeyState
from .key_backup import BackupState


def of_keys(state: KeyState) -> Phrase:
    """How the account's keys and this device stand, and what to do."""
    return Phrase(f"crypto.state.{state.value}")


def of_backup(state: BackupState) -> Phrase:
    """Whether keys are backed up, and what to do."""
    return Phrase(f"crypto.backup.{state.value}")


def of_emoji(name: str) -> Phrase:
    """What a picture is called."""
    return Phrase(f"crypto.emoji.{name}")
