"""Actions that say something: answers, notices to people, and messages to desks."""

from typing import ClassVar

from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import Line

from .base import ANSWER, CARD, NOTICE, STOP, Action, to_json


class Say(Action, name="say", priority=ANSWER, speaks=True):
    """Say something in a room: an answer (`reply_to`), or a message to all."""

    lines: tuple[Line, ...]
    reply_to: EventId | None = None
    thread: EventId | None = None
    to: UserId | None = None  # the person it answers: their language, their mention
    language: str = ""  # "": that of the person, else of the room


class Guide(Action, name="guide", priority=ANSWER, speaks=True, merge="guide {room}"):
    """Say in a direct room how to ask, and put reactions under it that do the same."""

    WHY: ClassVar[str] = "❓"
    APPEAL: ClassVar[str] = "⚖"
    DATA: ClassVar[str] = "📄"

    subject: UserId
    lines: tuple[Line, ...]
    reply_to: EventId


class GiveConsoleLink(
    Action, name="console-link", priority=ANSWER, speaks=True, queue="{subject}", merge="console-link {subject}"
):
    """Give a person a link to the web console in their direct room (`room`).

    It is made when it is sent, so that it waits nowhere. After `until` it is not given.
    """

    subject: UserId
    on: int
    until: int


class Tell(Action, name="tell", speaks=True, queue="{subject}"):
    """Tell one person something, in a direct room if they accept one, else in `room`; with `alone` never in `room`."""

    subject: UserId
    lines: tuple[Line, ...]
    n: int = 0
    asks: int = 0  # the case in which it asks for a decision
    alone: bool = False  # the room may not even show that there is something to tell
    first: bool = False  # changes of the room's power levels wait until it is said
    once: str = ""  # a key of what need not be said twice of case `n` while the first waits
    also: tuple[int, ...] = ()  # more cases that it tells of, with the same key `once`

    @property
    def priority(self) -> int:
        return STOP if self.first else NOTICE

    @property
    def merge(self) -> str | None:
        if self.first:
            return f"first {self.room} {self.subject}"
        if self.once:
            return f"{self.together} {self.room} {self.n}"
        # A flood may remove fifty messages for one reason: while the first notice waits, the same is not queued again.
        return f"tell {to_json(self)}" if self.n else None

    @property
    def together(self) -> str:
        """Return how the key `merge` begins of all messages that one message can hold."""
        return f"tell {self.once} {self.subject}"


class TellAbove(Action, name="tell-above"):
    """Tell the operators something, each alone, and with `owners` also the owners of the room."""

    lines: tuple[Line, ...]
    n: int = 0
    owners: bool = False
    first: bool = False  # changes of the room's power levels wait until it is said

    @property
    def merge(self) -> str | None:
        return f"first {self.room}" if self.first else None


class TellDesk(Action, name="tell-desk", priority=CARD, speaks=True):
    """Tell the managers of `room` something, in the thread of case `n` if there is one."""

    lines: tuple[Line, ...]
    n: int = 0
    once: str = ""  # a key of what need not be said twice while the first waits
    ring: bool = False  # mention the people in the desk who are responsible for case `n`
    discreet: tuple[Line, ...] = ()  # said instead of `lines` while somebody whom case `n` is about reads the desk
    also: tuple[RoomId, ...] = ()  # other rooms with the same desk that it concerns
    apart: tuple["TellDesk", ...] = ()  # what is said instead, to one room each, if they have that desk no longer

    @property
    def merge(self) -> str | None:
        return f"tell-desk {self.room} {self.once}" if self.once else None


class ShowPower(Action, name="show-power", priority=CARD, speaks=True, queue="power {room}"):
    """Say in the desk what the bot can do in the group; or what has changed, and correct what was said before."""

    changed: tuple[Line, ...] = ()

    @property
    def merge(self) -> str | None:
        return None if self.changed else f"show-power {self.room}"


class Retell(Action, name="retell", queue="power {room}", merge="retell {room}"):
    """Say again, in the language that a group speaks now, what stands in the room and in its desk."""
