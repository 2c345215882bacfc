"""The bot itself: what it did, by which policy, when it ran."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import EventId, UserId

from .base import Fact, person, private, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Fact):
    """What became of one request to the homeserver. `action` is its kind, `result` how it ended."""

    KIND: ClassVar[str] = "outcome"

    action: str
    result: Literal["done", "refused", "abandoned"]
    code: str = "-"  # the homeserver's errcode
    n: int = 0
    txn: str = "-"  # the transaction id, which names the row of the outbox
    subject: UserId = person()
    event: EventId = private("subject")  # the event it made
    made: str = unowned()  # the event or room it made, where that concerns nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged(Fact):
    """The policy in force from now on, whole, so that a record can be judged again by it."""

    KIND: ClassVar[str] = "rules"

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
    sealed: int = 0  # 1: all before the next start is signed, and so is the first thing written then
