"""The message files in one language, for what asks for words without knowing them."""

from .catalog import Catalog


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
