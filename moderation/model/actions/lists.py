"""Actions on policy lists: those watched, and our own."""

from typing import Literal

from moderation.values.ids import EventId, RoomId, UserId

from .base import CARD, ENTRIES, Action


class PublishEntry(Action, name="publish", priority=CARD, queue="publish {list}"):
    """Bring the entry with this state key in a list of ours in line with what was ordered for case `n`."""

    list: str
    list_room: RoomId
    key: str
    n: int


class MatchAgain(Action, name="match-lists", queue="lists", merge="lists"):
    """Look again whom the policy lists mean: people here decided something about them."""


class PreviewList(Action, name="preview-list", priority=ENTRIES, queue="lists of {room}"):
    """Read a policy list that somebody may want to choose for `room`, and say in `where` what it says.

    `target` is the list's room, as an id or an alias; `via`: servers to enter by, divided by spaces. `number` is the
    record of the request. `operates`: the person may act as an operator. `alone`: nobody else may read the answer.
    """

    target: str
    via: str
    number: int
    subject: UserId
    operates: bool
    where: RoomId
    alone: bool
    reply_to: EventId | None = None
    thread: EventId | None = None
    language: str = ""


class ChooseList(Action, name="choose-list", priority=ENTRIES, queue="chosen lists"):
    """Watch the policy list that the preview `number` showed for `room`, if it still says the same.

    The other fields are as those of `PreviewList`.
    """

    list: str
    trust: Literal["look", "propose", "agree", "apply"]
    number: int
    reason: str
    subject: UserId
    operates: bool
    where: RoomId
    alone: bool
    reply_to: EventId | None = None
    thread: EventId | None = None
    language: str = ""
