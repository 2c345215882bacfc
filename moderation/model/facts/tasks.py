"""Tasks that wait for the operator."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned

TaskKind = Literal["dossier", "case", "last-manager", "room", "confirm"]


class TaskOpened(Fact, kind="task"):
    """The operator is asked for something.

    The kinds: build a dossier or say why not; decide what nobody else has decided; stand in if nobody else can act;
    look at a room that was sanctioned; say whether a decision by a room's people on a rule of the operator's also
    counts elsewhere.
    """

    step: Literal["opened"] = "opened"
    task: TaskKind
    n: int = 0
    subject: UserId = person()


class TaskDone(Fact, kind="task"):
    """The task that began with record `start` is done, or no longer needed."""

    step: Literal["done"] = "done"
    start: int
    result: Literal["done", "declined", "overtaken"]
    reader: str = unowned()  # the operator who did it, as a user of the operating system
    reason: str = unowned()
