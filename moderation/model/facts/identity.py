"""Handling of what verified members proved about themselves. No fact contains any of that data."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned


class IdentityRead(Fact, kind="access"):
    """Somebody read, on the command line, what a person proved about themselves, because of case `n`."""

    what: Literal["identity"] = "identity"
    n: int
    subject: UserId = person()
    reader: str = unowned()  # the operating system user
    reason: str = unowned()


class ClaimsForgotten(Fact, kind="identity"):
    """Claims are destroyed from now on: those of one person, or those whose time is over."""

    step: Literal["forgotten"] = "forgotten"
    what: Literal["request", "operator", "retention"]
    count: int  # claims; `marks` 1: that their identifiers were used stays known, unreadably
    marks: int = 0
    reader: str = unowned()
    reason: str = unowned()


class IdentityKeyChanged(Fact, kind="identity"):
    """The key for what members proved about themselves changes: `key` names the new one, `was` the one before."""

    step: Literal["begun", "done"]
    key: str
    was: str
    reader: str = unowned()
