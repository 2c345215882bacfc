"""What the export asks of whoever knows the words: `bot/texts` has them, and this layer knows nothing of it."""

from typing import Protocol


class Words(Protocol):
    """Texts in one language."""

    @property
    def language(self) -> str:
        """Of the texts, as in ``<html lang>``."""

    def has(self, key: str) -> bool:
        """Whether there is such a text."""

    def text(self, key: str, **fields: object) -> str:
        """The text, filled; plain, not markup."""
