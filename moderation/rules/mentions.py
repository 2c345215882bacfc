"""Too many people mentioned at once, or the whole room.

Counted together: `m.mentions` and the matrix.to links of the formatted body (both in `event.mentions`, client-server
API "User and room mentions"), and Matrix ids and matrix.to links written in the texts.

Rules kept here:
- One person counts once, in whatever form they are written.
- The sender does not count.

Left to others: whether a notification really went out; that depends on each reader's push rules.
"""

import re
from typing import ClassVar, Literal
from urllib.parse import unquote

from pydantic import Field

from moderation.values.events import MessagePosted, Text, Where
from moderation.values.ids import is_user_id

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View
from .event_texts import looked_at
from .normalise_text import visible

_SERVER = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_USER = re.compile(rf"(?<![\w/@.+-])@[A-Za-z0-9._=/+-]+:{_SERVER}", re.ASCII)
_IN_LINK = r"[^\s\"'<>?)\]\ud800-\udfff]"
_LINK = re.compile(rf"matrix\.to/#/([@%]{_IN_LINK}+)|matrix:u/({_IN_LINK}+)", re.IGNORECASE)
_ROOM = re.compile(r"(?<![\w@])@room(?![\w:.-]*:)(?!\w)", re.ASCII | re.IGNORECASE)


class MentionSettings(StrictSettings):
    """Settings of a mention rule: how many people a message may mention, and whether it may mention the room."""

    limit: int = Field(default=5, ge=0, le=1000, description="so many people may one message mention")
    room: Literal["allow", "deny"] = Field(
        default="allow", description="allow or deny: may a message call the whole room (@room)"
    )


class Mentions:
    """Counter of the people a message mentions."""

    def __init__(self, settings: MentionSettings, where: frozenset[str] = frozenset()) -> None:
        self._settings = settings
        self._where = where

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit if the room is mentioned where it may not be, or more people than the limit are mentioned."""
        del view
        if not isinstance(event, MessagePosted):
            return None
        texts = [Text(text.where, visible(text.value)) for text in looked_at(event, self._where)]
        if self._settings.room == "deny" and (hit := _room_called(event, texts)):
            return hit
        users = set(event.mentions).union(*(mentioned(text.value) for text in texts)) - {event.sender}
        if len(users) <= self._settings.limit:
            return None
        return Hit(numbers={"count": len(users), "limit": self._settings.limit})


class MentionsRule(RuleBase, MentionSettings):
    """A rule about mentioning many people."""

    IN_CHAT: ClassVar = InChat(values=("limit", "room"))

    kind: Literal["mentions"]

    def compiled(self, *, own: bool = False) -> Mentions:
        """Return its counter."""
        del own
        return Mentions(self, frozenset(self.where))


def _room_called(event: MessagePosted, texts: list[Text]) -> Hit | None:
    for text in texts:
        if found := _ROOM.search(text.value):
            where: Where = text.where
            return Hit(where=where, matched=found[0])
    return Hit() if event.mentions_room else None


def mentioned(text: str) -> set[str]:
    """Return the user ids written in `text`, plainly or in matrix.to links and matrix: URIs."""
    linked = (unquote(link[1]) if link[1] else "@" + unquote(link[2]) for link in _LINK.finditer(text))
    written = (found[0] for found in _USER.finditer(text))
    return {user for user in (*linked, *written) if is_user_id(user)}
