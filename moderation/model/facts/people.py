"""Facts about people, and what they were told."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

VerificationNotice = Literal["reminded", "held", "halfway", "managing", "expires", "lapsed"]
NoticeChannel = Literal["direct", "room", "desk", "none"]
DoorAnswer = Literal["knocked", "waiting", "admitted", "refused"]


class PersonVerified(Fact, kind="verify"):
    """Somebody is verified at `level`, by `method`, until `until`; or that verification is revoked."""

    step: Literal["verified", "revoked"] = "verified"
    method: Literal["vouch", "roster", "email", "oidc"]
    level: int
    until: int
    undoes: int = -1  # the record that is revoked; -1: all by this method
    why: Literal["-", "key", "false"] = "-"  # why it is revoked; key: the account's master key has changed
    reach: str = ""  # of a vouch: where it counts (`moderation/model/reach.py`)
    subject: UserId = person()
    by: UserId = person()


class VerificationAsked(Fact, kind="verify"):
    """Somebody is told about a verification that they need or that ends.

    Below the level that a room asks for, with how to reach it: "reminded": that it is asked for; "held": their messages
    do not stay; "halfway": they will be removed; "managing": their management rights will be suspended. Without a room:
    "expires", "lapsed": their verification ends, or has ended.
    """

    step: Literal["asked"] = "asked"
    what: VerificationNotice
    until: int = 0  # when something follows; 0: nothing does
    subject: UserId = person()


class DoorAnswered(Fact, kind="verify"):
    """The answer to somebody who asks to enter a room that admits only verified people.

    "knocked": how to be verified, the request stays open; "waiting": the same, in the lobby; "admitted": they are
    invited; "refused": the request was open too long.
    """

    step: Literal["door"] = "door"
    what: DoorAnswer
    until: int = 0  # how long the request stays open
    subject: UserId = person()


class AccountsLinked(Fact, kind="verify", changes="all rooms", renames=True):
    """An account, with all accounts linked to it, belongs to the same person as another (docs/decisions/0019)."""

    step: Literal["linked"] = "linked"
    method: Literal["confirmed", "oidc"]  # the other account confirmed it, or both proved the same subject
    subject: UserId = person()  # the account that joins
    target: UserId = person()  # the account whose person it joins


class AccountUnlinked(Fact, kind="verify", changes="all rooms", renames=True):
    """The link recorded at `start` was a mistake: an operator ended it."""

    step: Literal["unlinked"] = "unlinked"
    start: int
    subject: UserId = person()  # the account that had joined
    target: UserId = person()  # the account whose person it had joined
    reason: str = private(of="subject")
    reader: str = unowned()  # the operator, as a user of the operating system


class KeyPinned(Fact, kind="verify"):
    """The master key (cross-signing) that a verified account had; a changed key asks for a new verification."""

    step: Literal["pinned"] = "pinned"
    subject: UserId = person()
    key: str = private(of="subject")


class RoleChanged(Fact, kind="role"):
    """The room's own levels give somebody another role than before."""

    role: Literal["owner", "manager", "member"]
    was: Literal["owner", "manager", "member"]
    subject: UserId = person()
    by: UserId = person()


class LanguageChosen(Fact, kind="state"):
    """A person, or (subject "") a room, is addressed in this language from now on."""

    what: Literal["language"] = "language"
    language: str
    subject: UserId = person()
    by: UserId = person()


class NoticeGiven(Fact, kind="notice", changes="nothing", of_acting=True):
    """A person was told something: `what` names the text."""

    what: str
    n: int = 0
    asks: int = 0  # the case of which it asks for a decision; 0: none
    channel: NoticeChannel
    subject: UserId = person()


class AwayChanged(Fact, kind="duty"):
    """Somebody is away from their duties, everywhere, until `until`; or back (`until` 0)."""

    what: Literal["away", "back"]
    until: int = 0
    subject: UserId = person()


class DutyAccepted(Fact, kind="duty"):
    """A manager takes on the duty in a room, who came into its desk before the room did."""

    what: Literal["accepted"] = "accepted"
    subject: UserId = person()


class RosterChanged(Fact, kind="duty"):
    """The hours in which somebody is on duty in a room; no hours: they leave its roster."""

    what: Literal["roster"] = "roster"
    subject: UserId = person()
    hours: str = private("subject")  # `moderation/duty/hours.py` defines the form
    by: UserId = person()
