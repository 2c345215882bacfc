"""Facts about policy lists: which are watched, what they said, whom that touched, and whom it no longer touches."""

from typing import Literal

from moderation.policy import Trust
from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

ListAdvice = Literal["ban", "takedown", "allow", "unknown"]
EntryKind = Literal["user", "server", "room"]


class ListChosen(Fact, kind="list", changes="nothing"):
    """A list is watched from now on, otherwise than before, or no longer. A list has one name in a deployment.

    `reach`: where it counts, and how far its bans reach: as far as the word of the person who chose it, or in one room
    (its code); `room`: the group for which it was chosen (None: by the configuration). `preview`: the number of the
    preview that was confirmed. What is still watched is recorded again from time to time, since older records expire;
    `since`: when (ms) it was chosen then.
    """

    what: Literal["chosen"] = "chosen"
    step: Literal["watched", "ended"]
    list: str  # its name
    trust: Trust = "look"
    reach: str = ""
    preview: int = -1
    since: int = 0
    list_room: str = unowned()
    by: UserId = person()
    reason: str = private("by")


class ListPreviewed(Fact, kind="list", changes="nothing"):
    """Somebody asked what a list says before it is watched (`number`: the record of the request), and what came of it.

    "entered": the bot enters the list's room to read it; "shown": these entries were shown, with their SHA-256;
    "left": the bot is in the list's room no longer, since nobody chose the list. `reach`: for which rooms it was asked.
    """

    what: Literal["previewed"] = "previewed"
    step: Literal["asked", "entered", "shown", "left"]
    number: int = -1
    reach: str = ""
    entries: int = 0
    digest: str = "-"
    list_room: str = unowned()
    by: UserId = person()


class ListRead(Fact, kind="list", changes="nothing"):
    """The entries of a list as they were read: how many, and the SHA-256 of all of them in order.

    So it can be proved later on which state of the list we acted.
    """

    what: Literal["read"] = "read"
    list: str
    entries: int
    added: int
    removed: int
    digest: str


class ListMatched(Fact, kind="list", changes="nothing"):
    """An entry of a watched list means somebody who is here; case `n` says what follows."""

    what: Literal["matched"] = "matched"
    step: Literal["propose", "apply"]
    n: int
    list: str
    of: EntryKind
    advice: ListAdvice
    subject: UserId = person()
    key: str = private("subject")  # the state key of the entry, which may name them
    entity: str = private("subject")  # as the list writes it
    author: str = private("subject")  # who wrote the entry
    reason: str = private("subject")  # as the list gives it


class ServerListed(Fact, kind="list", changes="nothing"):
    """An entry of a watched list means a `server`, or pattern over servers, of which people are here.

    Case `n` says what follows; `people` of the room are on it.
    """

    what: Literal["server"] = "server"
    step: Literal["propose", "apply"]
    n: int
    list: str
    advice: ListAdvice
    people: int
    server: str = unowned()  # as an ACL names it
    key: str = unowned()  # the state key of the entry
    author: str = unowned()  # who wrote the entry
    reason: str = unowned()  # as the list gives it


class ListPublished(Fact, kind="list", changes="nothing"):
    """The person of case `n` is to stand in a list of ours, or no longer: `by` somebody, or as its ban is over.

    `word`: why, for the readers of the list; `hashed`: 1 if the entry has only a hash of the person's id. The record of
    the action says when it was written.
    """

    what: Literal["published"] = "published"
    step: Literal["published", "withdrawn"]
    list: str
    n: int
    word: str = "-"
    hashed: int = 0
    list_room: str = unowned()
    subject: UserId = person()
    key: str = private("subject")  # the state key of the entry
    by: UserId = person()


class ListSpared(Fact, kind="list", changes="nothing"):
    """A list no longer touches somebody or a `server`, or may again.

    By a command in a room, or by the decision of case `n`.

    `reach`: how far that counts, as the word of the person who gave it does. `undoes`: of "unspared", the record that
    is taken back; -1: all within that reach.
    """

    what: Literal["spared"] = "spared"
    step: Literal["spared", "unspared"] = "spared"
    list: str
    reach: str = ""
    n: int = 0  # the case; 0: a command
    undoes: int = -1
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")
    server: str = unowned()  # or a pattern over servers, instead of a person
