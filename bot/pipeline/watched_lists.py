"""The policy lists that are watched, compiled and kept in memory: whom they mean is asked of each person who comes.

Rules kept here:
- Reading and compiling are done by others, and take effect at one moment.
- Of a list that could not be read yet, and of which nothing is kept, it is not known what it says.

Left to others: people who came before that moment (`list_matches.py` looks at everybody then).
"""

from collections.abc import Mapping

from moderation.lists.book import Book, ListedEntry
from moderation.lists.matching import Watch
from moderation.values.ids import UserId


class WatchedLists:
    """The lists, and what they say now."""

    def __init__(self) -> None:
        self.book: Book | None = None
        self.watches: Mapping[str, Watch] = {}
        self.unread: frozenset[str] = frozenset()

    def match(self, user: UserId) -> tuple[ListedEntry, ...]:
        """Return the entries that mean a user; none before the lists were compiled."""
        return self.book.match(user) if self.book is not None else ()

    def become(self, book: Book, watches: Mapping[str, Watch], unread: frozenset[str]) -> None:
        """Go by these lists from now on."""
        self.book, self.watches, self.unread = book, watches, unread
