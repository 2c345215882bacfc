"""The interface between a rule and the judge.

A rule looks at one event and answers with a `Hit` or None. It holds settings, never state; it reads no clock, acts on
nobody and has no text for people. All it needs to know about the past is in `View`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from moderation.values.events import (
    FileSeen,
    MembershipChanged,
    MessagePosted,
    OtherEvent,
    ReactionGiven,
    Redacted,
    StateChanged,
    Where,
)

Judged = MessagePosted | MembershipChanged | StateChanged | ReactionGiven | Redacted | OtherEvent | FileSeen
Counted = Literal["reactions", "joins"]  # what is counted in addition to messages and edits


@dataclass(frozen=True, slots=True)
class View:
    """The facts a rule may know in addition to the event itself.

    `recent_ms` are the times (`Event.counted_ms`) of this sender's messages in this room, oldest first, this one
    included, as far back as the longest window any rule asks for.
    """

    recent_ms: tuple[int, ...] = ()
    recent_others: tuple[tuple[int, Counted], ...] = ()  # the same for reactions, and for joins and new names
    bot: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's answer when it is broken: where, by what, and how much.

    `matched` is a piece of the person's own text (personal: it goes into the erasable part).
    `numbers` are counts and limits, such as {"count": 12, "limit": 10}.
    """

    where: Where | None = None
    matched: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)


class Check(Protocol):
    """A rule with its settings compiled, ready to look at events."""

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return the first way in which `event` breaks this rule, or None."""
        ...
