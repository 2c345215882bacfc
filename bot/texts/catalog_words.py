"""The message files in one language, for what asks for words without knowing them."""

from .catalog import Catalog

_SHARED = {"class": "grade", "outcome": "state", "state": "state"}  # words that messages to people have, too


def word_key(kind: str, value: str) -> str:
    """Return the key under which a word of the program stands, such as a case's state."""
    return f"{_SHARED.get(kind, f'cli.{kind}')}.{value}"


class CatalogWords:
    """The message files in one language, as `storage/export` asks for words."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalog = Catalog.load()

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return self._catalog.has(key)

    def text(self, key: str, **fields: object) -> str:
        """Return the text, filled."""
        return self._catalog.text(self.language, key, **fields)
