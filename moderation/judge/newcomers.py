"""People who are new in a room: what they cannot post yet. docs/model.md, "Newcomers".

Rules kept here:
- Somebody is new until they have been there for a time, and until some of their messages stand. Both count from when
  the room first saw them, so going and coming back changes nothing.
- Nobody is new who was there before the bot.
- An edit is looked at like a message: it could bring what the message could not.
- Nothing is charged, no case is opened, and they are told once.

Left to others: managers, and rooms in which the bot may not act (`judge.py`); counting messages
(`bot/pipeline/messages_standing.py`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args
from urllib.parse import unquote

from moderation.credit.waiting import has_link, has_media
from moderation.model.builtin_rules import NEW_MEMBER, NEW_MEMBER_RULES
from moderation.model.context import Context, RoomView
from moderation.policy import Held, Policy
from moderation.rules.addresses import hrefs
from moderation.rules.check import Judged
from moderation.rules.normalise_text import normalise
from moderation.values.events import MessagePosted, OtherEvent, ReactionGiven
from moderation.values.ids import RoomId

from .spared import is_spared

EVERYTHING: tuple[Held, ...] = get_args(Held)
FEW_MENTIONS = 2  # people whom a newcomer may mention: one who is answered, and one more
_INVITES = re.compile(
    r"#/(?:room/)?[#!]"  # matrix.to and clients in the browser
    r"|matrix:(?:r|roomid)/"
    r"|(?<![\w/#])#[^\s:#]{1,255}:[\w-]+(?:\.[\w-]+)+"  # an alias alone
    r"|\b(?:discord\.gg|discord(?:app)?\.com/invite|t\.me|telegram\.me|chat\.whatsapp\.com|signal\.group)/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The part of a message that is held back, and the time and messages left until its sender is not new."""

    rule: str
    left_ms: int
    messages: int
    told: bool  # whether they know


def held_in(room: RoomView, policy: Policy) -> tuple[Held, ...]:
    """Return what newcomers cannot post in a room: what the operator says, and what its owner chose on top."""
    settings, chosen = policy.newcomers, room.choices.hold
    operators = settings.hold if settings.hold and room.is_among(settings.rooms) else ()
    return tuple(each for each in EVERYTHING if each in operators or each in chosen) if operators or chosen else ()


def held_of_newcomer(event: Judged, context: Context, policy: Policy) -> HeldBack | None:
    """Return what is held back of an event because its sender is new; None if nothing is."""
    settings, room, subject = policy.newcomers, context.room.room, context.subject
    if not isinstance(event, MessagePosted | ReactionGiven | OtherEvent) or room not in subject.came:
        return None
    held = held_in(context.room, policy)
    if not held or subject.user in policy.operators:
        return None
    left = max(0, subject.came[room] + settings.lasts - event.counted_ms)
    more = max(0, settings.messages - context.said)
    if not (left or more):
        return None
    what = next((each for each in held if _HAS[each](event)), None)
    if what is None or is_spared(settings.unless, context, policy):
        return None
    told = any((room, rule) in subject.told for rule in NEW_MEMBER_RULES)
    return HeldBack(NEW_MEMBER[what], left, more, told)


def _mentions_many(event: Judged) -> bool:
    return isinstance(event, MessagePosted) and (event.mentions_room or len(event.mentions) > FEW_MENTIONS)


def _invites(event: Judged) -> bool:
    """Return whether an event leads into another room or group. A link to a message of this room does not."""
    return any(_INVITES.search(_elsewhere(words, event.room)) for words in _written(event))


def _written(event: Judged) -> Iterator[str]:
    yield from (text.value for text in event.texts)
    if isinstance(event, MessagePosted):
        yield from (link.written for link in hrefs(event))


def _elsewhere(words: str, here: RoomId) -> str:
    plain = unquote(unquote(normalise(words, "literal").text))
    return plain.replace(f"#/{here}".lower(), "").replace(f"#/room/{here}".lower(), "")


_HAS: Mapping[Held, Callable[[Judged], bool]] = {
    "links": has_link,
    "media": has_media,
    "mentions": _mentions_many,
    "invites": _invites,
}
