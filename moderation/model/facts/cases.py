"""Rules broken, and the cases that come of it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.policy import Grade
from moderation.values.events import Where
from moderation.values.ids import EventId, UserId

from .base import Fact, person, private, unowned

Channel = Literal["member", "operator", "mail", "server"]  # by which way a report came
Asked = Literal["managers", "owner", "operator"]  # whose word a case waits for

EXCERPT = 280  # characters of a message that a case keeps for those who decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Fact):
    """A rule was broken by the event recorded at `on`."""

    KIND: ClassVar[str] = "finding"

    rule: str
    grade: Grade
    where: Where | Literal["-"] = "-"
    count: int = 0
    limit: int = 0
    subject: UserId = person()
    matched: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Fact):
    """A case was opened. `state` is "decided" at once where the rule decides by itself, or a person acted directly.

    `about` is the case that was neglected or decided wrongly, of a case about a duty. `message` is the record of the
    event it is about, where something else gave rise to it: a report (-1: it is `on`). `lead` is an earlier case by the
    same reporter: until that one is decided, this one is shown on its card and has no deadline of its own (0: none).
    """

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["opened"] = "opened"
    rule: str
    grade: Grade
    decide: Literal["auto", "manager"]
    state: Literal["open", "decided"]
    due: int  # milliseconds since 1970; when a decision is due
    asked: Asked = "managers"
    about: int = 0
    manages: int = 0  # 1: the subject held management rights, so nothing applies before a decision
    message: int = -1
    lead: int = 0
    subject: UserId = person()
    event: EventId = private("subject")
    excerpt: str = private("subject")
    by: UserId = person()  # who acted directly
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGrew(Fact):
    """The same rule was broken again by the same person within one incident: more evidence.

    `message` is the record of the event, where a report of it gave rise to this (-1: it is `on`).
    """

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["joined"] = "joined"
    message: int = -1
    subject: UserId = person()
    event: EventId = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDecided(Fact):
    """Somebody upheld or dismissed a case. `state` is the state the case has from now on."""

    KIND: ClassVar[str] = "decision"

    n: int
    what: Literal["upheld", "dismissed"]
    state: Literal["decided", "affirmed", "reversed"] = "decided"  # the last two: on appeal
    waits: int = 0  # 1: a message that waited is posted if this is dismissed, and left out if it is upheld
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appealed(Fact):
    """Somebody asks for a decided case to be looked at again: the person whom it concerns, or (`report` 1) somebody who
    had reported it and whose report was dismissed."""

    KIND: ClassVar[str] = "appeal"

    n: int
    step: Literal["lodged"] = "lodged"
    state: Literal["appealed"] = "appealed"
    due: int  # milliseconds since 1970; when an answer is due
    asked: Asked = "managers"
    report: int = 0
    subject: UserId = person()
    words: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Fact):
    """A member pointed the managers to the message recorded at `message` (-1: at `on`), or a notice came from outside.

    Of the latter `by` and `reason` are empty; `message` -1 says that it names a room alone.
    """

    KIND: ClassVar[str] = "report"

    n: int = 0  # the case it opened or joined
    message: int = -1
    channel: Channel = "member"
    words: str = unowned()  # of a notice from outside
    contact: str = unowned()  # how whoever wrote it can be answered
    reader: str = unowned()  # who took it in, as the operating system knows them
    subject: UserId = person()  # whose message it is
    by: UserId = person()
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMoved(Fact):
    """A case took a step that is no decision: somebody has seen it, half its time is over, or all of it; it can be
    appealed no more; or it goes on alone, as the case it waited with is decided ("parted").

    From now on it waits in `state` for the word of `asked`, until `due` (0: no more is due).
    """

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["acknowledged", "reminded", "overdue", "escalated", "stopped", "closed", "parted"]
    state: str
    asked: Asked = "managers"
    due: int
    by: UserId = person()  # who has seen it


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseAssigned(Fact):
    """Somebody answers for a case from now on: they are on duty, or it was passed on to them."""

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["assigned"] = "assigned"
    asked: Asked = "managers"
    due: int
    how: Literal["card", "word"] = "card"  # whether a manager learns of it in the desk, or is told in a direct room
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLeft(Fact):
    """Somebody who was told that a case waits for them left the room or lost their role there.

    "gone": while it waited; `by` is who made it so. "excused": they were gone when its time was over, and are charged
    only if they come back before long.
    """

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["left"] = "left"
    what: Literal["gone", "excused"]
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNoted(Fact):
    """A manager's note on a case, for those who handle it."""

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["noted"] = "noted"
    by: UserId = person()
    words: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementGiven(Fact):
    """The statement of reasons for a decision, as one object (`moderation/cases/statements.py` has the fields)."""

    KIND: ClassVar[str] = "statement"

    n: int
    subject: UserId = person()
    statement: str = private("subject")  # JSON
