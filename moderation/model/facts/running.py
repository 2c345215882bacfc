"""Facts about the bot itself: outcomes of its requests, its policy, its starts and stops."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import EventId, UserId

from .base import Changes, Fact, person, private, unowned

ActionResult = Literal["done", "refused", "abandoned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Fact):
    """The outcome of one request to the homeserver. `action` is its kind, `result` how it ended."""

    KIND: ClassVar[str] = "outcome"
    CHANGES: ClassVar[Changes] = "nothing"
    OF_ACTING: ClassVar[bool] = True

    action: str
    result: ActionResult
    code: str = "-"  # the homeserver's errcode
    n: int = 0
    txn: str = "-"  # the transaction id, which names the row of the outbox
    subject: UserId = person()
    event: EventId = private("subject")  # the event it created
    made: str = unowned()  # the event or room it created, if that concerns nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged(Fact):
    """The policy in force from now on, in full, so that a record can be judged again by it."""

    KIND: ClassVar[str] = "rules"
    CHANGES: ClassVar[Changes] = "all rooms"

    digest: str  # first 32 hex digits of the SHA-256 of `policy`
    policy: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStarted(Fact):
    """The bot began to run."""

    KIND: ClassVar[str] = "start"

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStopped(Fact):
    """The bot stopped cleanly."""

    KIND: ClassVar[str] = "stop"

    why: str = "asked"
    sealed: int = 0  # 1: everything before the next start is signed, and what is written first then is signed at once
