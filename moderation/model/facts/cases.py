"""Broken rules, and the cases that follow."""

from typing import Literal

from moderation.policy import Decide, Grade
from moderation.values.events import Where
from moderation.values.ids import EventId, UserId

from .base import Fact, person, private, unowned

Channel = Literal["member", "operator", "mail", "server"]  # the way by which a report came
Asked = Literal["managers", "owner", "operator"]  # the level that a case waits for
CaseState = Literal[
    "open",
    "acknowledged",
    "overdue",
    "escalated_owner",
    "escalated_operator",
    "decided",
    "appealed",
    "affirmed",
    "reversed",
    "closed",
]
CaseStep = Literal["acknowledged", "reminded", "overdue", "escalated", "stopped", "closed", "parted"]
Outcome = Literal["upheld", "dismissed"]
DecidedState = Literal["decided", "affirmed", "reversed"]  # the last two: on appeal

EXCERPT = 280  # characters of a message that a case keeps for its deciders


class Found(Fact, kind="finding", changes="nothing"):
    """A rule was broken by the event recorded at `on`, or at `message` by what the record `on` tells of its file."""

    rule: str
    grade: Grade
    where: Where | Literal["-"] = "-"
    count: int = 0
    limit: int = 0
    message: int = -1
    subject: UserId = person()
    matched: str = private("subject", words=True)


class FoundOnTrial(Fact, kind="trial", changes="nothing"):
    """A rule on trial would have been broken, as `Found` says. Nothing follows."""

    rule: str
    grade: Grade
    where: Where | Literal["-"] = "-"
    count: int = 0
    limit: int = 0
    message: int = -1
    subject: UserId = person()
    matched: str = private("subject", words=True)


class CaseOpened(Fact, kind="case", changes="people alone"):
    """A case was opened.

    `state` is "decided" at once if the rule decides alone, or a person acted directly. `about`, in a case about a duty,
    is the case that was neglected or decided wrongly. `message` is the record of the event it is about, if something
    else caused it, such as a report (-1: it is `on`). `lead` is an earlier case by the same reporter: until that one is
    decided, this one is shown on its card and has no deadline of its own (0: none). `burst` is the first case of many
    that came at once, on whose common card this one is shown (0: none; `moderation/cases/bursts.py`).
    """

    n: int
    step: Literal["opened"] = "opened"
    rule: str
    grade: Grade
    decide: Decide
    state: Literal["open", "decided"]
    due: int  # when a decision is due, in milliseconds since 1970
    asked: Asked = "managers"
    about: int = 0
    manages: int = 0  # 1: the subject held management rights, so nothing applies before a decision
    message: int = -1
    lead: int = 0
    burst: int = 0
    subject: UserId = person()
    event: EventId = private("subject")
    excerpt: str = private("subject", words=True)
    by: UserId = person()  # who acted directly
    reason: str = private("by")


class CaseGrew(Fact, kind="case", changes="nothing"):
    """The same person broke the same rule again within one incident: more evidence.

    `message` is the record of the event, if a report of it caused this (-1: it is `on`).
    """

    n: int
    step: Literal["joined"] = "joined"
    message: int = -1
    subject: UserId = person()
    event: EventId = private("subject")


class CaseDecided(Fact, kind="decision"):
    """Somebody upheld or dismissed a case. `state` is its state from now on."""

    n: int
    what: Outcome
    state: DecidedState = "decided"
    waits: int = 0  # 1: a message that waited is posted if this is dismissed, and left out if it is upheld
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")


class Appealed(Fact, kind="appeal"):
    """Somebody asks for a decided case to be reviewed.

    It is the person whom the case concerns or, if `report` is 1, somebody who reported it and whose report was
    dismissed.
    """

    n: int
    step: Literal["lodged"] = "lodged"
    state: Literal["appealed"] = "appealed"
    due: int  # when an answer is due, in milliseconds since 1970
    asked: Asked = "managers"
    report: int = 0
    subject: UserId = person()
    words: str = private("subject", words=True)


class Reported(Fact, kind="report"):
    """A member reported the message recorded at `message` (-1: at `on`), or a notice came from outside.

    In a notice from outside `by` and `reason` are empty; `message` -1 means that it names only a room.
    """

    n: int = 0  # the case it opened or joined
    message: int = -1
    channel: Channel = "member"
    words: str = unowned()  # of a notice from outside
    contact: str = unowned()  # how its author can be answered
    reader: str = unowned()  # the operating system user who entered it
    subject: UserId = person()  # the author of the message
    by: UserId = person()
    reason: str = private("by", words=True)


class CaseMoved(Fact, kind="case"):
    """A case took a step that is no decision.

    The steps: somebody has seen it; half its time, or all of it, is over; it can no longer be appealed; or it goes on
    alone, since the case it waited with is decided ("parted"). From now on it waits in `state` for a decision by
    `asked`, until `due` (0: nothing more is due).
    """

    n: int
    step: CaseStep
    state: CaseState
    asked: Asked = "managers"
    due: int
    by: UserId = person()  # who has seen it


class CaseClaimed(Fact, kind="case"):
    """Somebody takes a case: until it goes up, they alone are reminded of it."""

    n: int
    step: Literal["claimed"] = "claimed"
    by: UserId = person()


class CaseExtended(Fact, kind="case"):
    """The deadline of a case was put off, which happens once. `informed`: 1 if its subject knows of a deadline."""

    n: int
    step: Literal["extended"] = "extended"
    due: int
    informed: int = 0
    subject: UserId = person()
    by: UserId = person()


class CaseAssigned(Fact, kind="case", changes="nothing"):
    """Somebody is responsible for a case from now on: they are on duty, or it was passed on to them."""

    n: int
    step: Literal["assigned"] = "assigned"
    asked: Asked = "managers"
    due: int
    how: Literal["card", "word"] = "card"  # whether a manager is told of it in the desk or in a direct room
    subject: UserId = person()


class CaseLeft(Fact, kind="case"):
    """Somebody who was told that a case waits for them left the room or lost their role there.

    "gone": while it waited; `by` is the person who caused it. "excused": they were gone when the time was over, and are
    charged only if they come back before long.
    """

    n: int
    step: Literal["left"] = "left"
    what: Literal["gone", "excused"]
    subject: UserId = person()
    by: UserId = person()


class CaseNoted(Fact, kind="case"):
    """A manager's note on a case, for those who handle it."""

    n: int
    step: Literal["noted"] = "noted"
    by: UserId = person()
    words: str = private("by", words=True)


class CaseCommented(Fact, kind="case"):
    """A comment of the person whom a case concerns, made before it was decided."""

    n: int
    step: Literal["commented"] = "commented"
    subject: UserId = person()
    words: str = private("subject", words=True)


class QuestionAsked(Fact, kind="case", changes="nothing"):
    """The desk was asked something about a case, to be answered by a reaction on the message `made`.

    "reason": why no rule was broken. "together": whether the cases in `cases` are decided at once.
    """

    n: int
    step: Literal["asked"] = "asked"
    what: Literal["reason", "together"]
    cases: str = unowned()  # their numbers, each with the count of its messages: "12:1 13:4"
    made: str = unowned()


class StatementGiven(Fact, kind="statement", changes="nothing"):
    """The statement of reasons for a decision, as one object (`moderation/cases/statements.py` defines its fields)."""

    n: int
    subject: UserId = person()
    statement: str = private("subject")  # JSON
