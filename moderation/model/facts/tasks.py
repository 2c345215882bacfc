"""What waits for the operator."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Fact, person, unowned

TaskKind = Literal["dossier", "case", "last-manager", "room", "confirm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpened(Fact):
    """The operator is asked for something: to build a dossier or say why not, to decide what nobody else has, to
    stand in where nobody else can act, to look at a room that was sanctioned, to say whether what a room's people
    decided on a rule of the operator's counts elsewhere too."""

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
    reader: str = unowned()  # the operator who did it, as the operating system knows them
    reason: str = unowned()
