"""Facts about people, and what they were told."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Changes, Fact, person, private, unowned

VerificationNotice = Literal["reminded", "held", "halfway", "managing", "expires", "lapsed"]
NoticeChannel = Literal["direct", "room", "desk", "none"]
DoorAnswer = Literal["knocked", "waiting", "admitted", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonVerified(Fact):
    """Somebody is verified at `level`, by `method`, until `until`; or that verification is revoked."""

    KIND: ClassVar[str] = "verify"

    step: Literal["verified", "revoked"] = "verified"
    method: Literal["vouch", "roster", "email", "oidc"]
    level: int
    until: int
    undoes: int = -1  # the record that is revoked; -1: all by this method
    why: Literal["-", "key", "false"] = "-"  # why it is revoked; key: the account's master key has changed
    reach: str = ""  # of a vouch: where it counts (`moderation/model/reach.py`)
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationAsked(Fact):
    """Somebody is told about a verification that they need or that ends.

    Below the level that a room asks for, with how to reach it: "reminded": that it is asked for; "held": their messages
    do not stay; "halfway": they will be removed; "managing": their management rights will be suspended. Without a room:
    "expires", "lapsed": their verification ends, or has ended.
    """

    KIND: ClassVar[str] = "verify"

    step: Literal["asked"] = "asked"
    what: VerificationNotice
    until: int = 0  # when something follows; 0: nothing does
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorAnswered(Fact):
    """The answer to somebody who asks to enter a room that admits only verified people.

    "knocked": how to be verified, the request stays open; "waiting": the same, in the lobby; "admitted": they are
    invited; "refused": the request was open too long.
    """

    KIND: ClassVar[str] = "verify"

    step: Literal["door"] = "door"
    what: DoorAnswer
    until: int = 0  # how long the request stays open
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsLinked(Fact):
    """An account, with all accounts linked to it, belongs to the same person as another (docs/decisions/0019)."""

    KIND: ClassVar[str] = "verify"
    CHANGES: ClassVar[Changes] = "all rooms"
    RENAMES: ClassVar[bool] = True

    step: Literal["linked"] = "linked"
    method: Literal["confirmed", "oidc"]  # the other account confirmed it, or both proved the same subject
    subject: UserId = person()  # the account that joins
    target: UserId = person()  # the account whose person it joins


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUnlinked(Fact):
    """The link recorded at `start` was a mistake: an operator ended it."""

    KIND: ClassVar[str] = "verify"
    CHANGES: ClassVar[Changes] = "all rooms"
    RENAMES: ClassVar[bool] = True

    step: Literal["unlinked"] = "unlinked"
    start: int
    subject: UserId = person()  # the account that had joined
    target: UserId = person()  # the account whose person it had joined
    reason: str = private(of="subject")
    reader: str = unowned()  # the operator, as a user of the operating system


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPinned(Fact):
    """The master key (cross-signing) that a verified account had; a changed key asks for a new verification."""

    KIND: ClassVar[str] = "verify"

    step: Literal["pinned"] = "pinned"
    subject: UserId = person()
    key: str = private(of="subject")


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
    """A person, or (subject "") a room, is addressed in this language from now on."""

    KIND: ClassVar[str] = "state"

    what: Literal["language"] = "language"
    language: str
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeGiven(Fact):
    """A person was told something: `what` names the text."""

    KIND: ClassVar[str] = "notice"
    CHANGES: ClassVar[Changes] = "nothing"
    OF_ACTING: ClassVar[bool] = True

    what: str
    n: int = 0
    asks: int = 0  # the case of which it asks for a decision; 0: none
    channel: NoticeChannel
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
    """The hours in which somebody is on duty in a room; no hours: they leave its roster."""

    KIND: ClassVar[str] = "duty"

    what: Literal["roster"] = "roster"
    subject: UserId = person()
    hours: str = private("subject")  # `moderation/duty/hours.py` defines the form
    by: UserId = person()
