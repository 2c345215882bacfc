"""Facts about the bot itself: outcomes of its requests, its policy, its starts and stops."""

from typing import Literal

from moderation.values.ids import EventId, UserId

from .base import Fact, person, private, unowned

ActionResult = Literal["done", "refused", "abandoned"]


class ActionTaken(Fact, kind="outcome", changes="nothing", of_acting=True):
    """The outcome of one request to the homeserver. `action` is its kind, `result` how it ended."""

    action: str
    result: ActionResult
    code: str = "-"  # the homeserver's errcode
    n: int = 0
    txn: str = "-"  # the transaction id, which names the row of the outbox
    subject: UserId = person()
    event: EventId = private("subject")  # the event it created
    made: str = unowned()  # the event or room it created, if that concerns nobody


class PolicyChanged(Fact, kind="rules", changes="all rooms"):
    """The policy in force from now on, in full, so that a record can be judged again by it."""

    digest: str  # first 32 hex digits of the SHA-256 of `policy`
    policy: str = unowned()


class BotStarted(Fact, kind="start"):
    """The bot began to run."""

    version: str


class BotStopped(Fact, kind="stop"):
    """The bot stopped cleanly."""

    why: str = "asked"
    sealed: int = 0  # 1: everything before the next start is signed, and what is written first then is signed at once
