"""Tasks that wait for the operator."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned

TaskKind = Literal["dossier", "case", "last-manager", "room", "confirm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpened(Fact):
    """The operator is asked for something.

    The kinds: build a dossier or say why not; decide what nobody else has decided; stand in if nobody else can act;
    look at a room that was sanctioned; say whether a decision by a room's people on a rule of the operator's also
    counts elsewhere.
    """

    KIND: ClassVar[str] = "task"

    step: Literal["opened"] = "opened"
    task: TaskKind
    n: int = 0
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone(Fact):
    """The task that began with record `start` is done, or no longer needed."""

    KIND: ClassVar[str] = "task"

    step: Literal["done"] = "done"
    start: int
    result: Literal["done", "declined", "overtaken"]
    reader: str = unowned()  # the operator who did it, as a user of the operating system
    reason: str = unowned()
