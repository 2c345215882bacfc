"""What is done to what verified members proved about themselves. Nothing of it stands in a fact."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRead(Fact):
    """Somebody read, on the command line, what a person proved about themselves, on account of case `n`."""

    KIND: ClassVar[str] = "access"

    what: Literal["identity"] = "identity"
    n: int
    subject: UserId = person()
    reader: str = unowned()  # as the operating system knows them
    reason: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsForgotten(Fact):
    """What one person, or those whose time was over, proved about themselves is destroyed from now on."""

    KIND: ClassVar[str] = "identity"

    step: Literal["forgotten"] = "forgotten"
    what: Literal["request", "operator", "retention"]
    count: int  # claims; with `marks` 1 it stays known, unreadable, that their identifiers were used
    marks: int = 0
    reader: str = unowned()
    reason: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityKeyChanged(Fact):
    """What members proved about themselves is to be opened by another key: `key` names it, `was` the one before."""

    KIND: ClassVar[str] = "identity"

    step: Literal["begun", "done"]
    key: str
    was: str
    reader: str = unowned()
