"""The policy lists that are watched, compiled and kept in memory: whom they mean is asked of each person who comes.

Rules kept here:
- Reading and compiling are done by others, and take effect at one moment.
- Who comes before the lists were compiled is remembered, and looked at then.
"""

from collections.abc import Mapping

from moderation.lists.book import Book, ListedEntry
from moderation.lists.matching import Watch
from moderation.values.ids import RoomId, UserId

MOST_MISSED = 10_000  # people who came before the lists were compiled


class WatchedLists:
    """The lists, and what they say now."""

    def __init__(self) -> None:
        self.book: Book | None = None
        self.watches: Mapping[str, Watch] = {}
        self.missed: dict[tuple[RoomId, UserId], None] = {}  # in order

    def came(self, room: RoomId, user: UserId) -> tuple[ListedEntry, ...]:
        """Return the entries that mean somebody who has just come into a room."""
        if self.book is None:
            if len(self.missed) < MOST_MISSED:
                self.missed[room, user] = None
            return ()
        return self.book.match(user)

    def become(self, book: Book, watches: Mapping[str, Watch]) -> None:
        """Go by these lists from now on."""
        self.book, self.watches = book, watches
