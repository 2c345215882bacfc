"""What is known of people, and what they were told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..ids import UserId
from .base import Fact, person, private


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonVerified(Fact):
    """Somebody is verified at `level`, by `method`, until `until`."""

    KIND: ClassVar[str] = "verify"

    step: Literal["verified", "revoked"] = "verified"
    method: Literal["vouch"]
    level: int
    until: int
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(Fact):
    """The room's own levels give somebody another role than before."""

    KIND: ClassVar[str] = "role"

    role: Literal["owner", "manager", "member"]
    was: Literal["owner", "manager", "member"]
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChosen(Fact):
    """A person, or (subject "") a room, is spoken to in this language from now on."""

    KIND: ClassVar[str] = "state"

    what: Literal["language"] = "language"
    language: str
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeGiven(Fact):
    """A person was told something: `what` names the text."""

    KIND: ClassVar[str] = "notice"

    what: str
    n: int = 0
    channel: Literal["direct", "room", "desk", "none"]
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwayChanged(Fact):
    """Somebody is away from their duties, everywhere, until `until`; or back (`until` 0)."""

    KIND: ClassVar[str] = "duty"

    what: Literal["away", "back"]
    until: int = 0
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterChanged(Fact):
    """The hours in which somebody is on duty in a room; no hours: they stand in its roster no more."""

    KIND: ClassVar[str] = "duty"

    what: Literal["roster"] = "roster"
    subject: UserId = person()
    hours: str = private("subject")  # `moderation/roster.py` has the form
    by: UserId = person()
