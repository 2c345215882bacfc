"""Cards of cases in desks: posting and updating them, and what is asked and offered there."""

from typing import ClassVar, Literal

from moderation.values.ids import CaseNumber, EventId, UserId
from moderation.values.notices import Line

from .base import ANSWER, CARD, NICETY, Action


class PostCard(Action, name="card", priority=CARD, speaks=True, merge="card {n}"):
    """Post the card of a case in the desk of its room."""

    MARK: ClassVar[str] = "org.answerable.card"  # the key of its content that names the case and the request

    n: CaseNumber
    ring: bool = True  # mention the people in the desk who are responsible for the case


class EditCard(Action, name="edit-card", speaks=True, adorns=True, merge="edit-card {n}"):
    """Update the card of a case."""

    n: CaseNumber


class PostBurst(Action, name="burst-card", priority=CARD, speaks=True, merge="burst-card {n}"):
    """Post the common card of the burst of cases that begins with case `n`."""

    MARK: ClassVar[str] = "org.answerable.burst"  # as for `PostCard`

    n: CaseNumber


class EditBurst(Action, name="edit-burst", speaks=True, adorns=True, merge="edit-burst {n}"):
    """Update the common card of the burst of cases that begins with case `n`."""

    n: CaseNumber


class SupersedeCard(Action, name="supersede-card", priority=CARD, merge="supersede-card {event}"):
    """Mark a card as void that a restored backup does not know, or (`moved`) whose room has another desk now.

    `room` is the desk.
    """

    event: EventId
    moved: bool = False


class AskDesk(Action, name="ask-desk", priority=ANSWER, speaks=True):
    """Ask the desk of `room` something about case `n`, to be answered by one of the reactions `keys`."""

    MARK: ClassVar[str] = "org.answerable.question"  # the key of its content that names the request

    n: CaseNumber
    what: Literal["reason", "together"]
    lines: tuple[Line, ...]
    keys: str  # divided by spaces
    to: UserId
    reply_to: EventId
    thread: EventId | None = None
    cases: str = ""  # all cases it is about, as in `QuestionAsked`


class Offer(Action, name="offer", priority=NICETY, adorns=True, queue="case {n}"):
    """Put reactions under the card of case `n` or under `event`, for managers to press.

    They are those of `key`, divided by spaces, in this order; "": those that the case admits.
    """

    n: CaseNumber
    key: str = ""
    more: bool = False  # only those that an appeal adds
    event: EventId | Literal[""] = ""


class Quote(Action, name="quote", queue="case {n}"):
    """Post what waited for a manager in case `n`: one `event` in the card's thread, or if "" all in the room."""

    n: CaseNumber
    event: EventId | Literal[""] = ""
