"""The interface by which the export gets its texts: `bot/texts` has them, and this layer does not know it."""

from typing import Protocol


class Words(Protocol):
    """Texts in one language."""

    @property
    def language(self) -> str:
        """The language of the texts, as in ``<html lang>``."""

    def has(self, key: str) -> bool:
        """Return whether there is such a text."""

    def text(self, key: str, **fields: object) -> str:
        """Return the text with its fields filled in; plain, not markup."""
