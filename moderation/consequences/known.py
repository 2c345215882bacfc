"""The context from which consequences are derived: cases as they are now, the time, reporters, the rooms of people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from moderation.cases.statements import StatementContext
from moderation.model.actions.base import Action
from moderation.model.notifications import Notification
from moderation.values.ids import RoomId, UserId

# Returns the active groups a person is in; with a reach, also those of that community.
RoomsOf = Callable[..., Sequence[RoomId]]
Consequence = Action | Notification
Reporters = Mapping[int, Sequence[UserId]]  # case -> the people who had reported its subject


@dataclass(frozen=True, slots=True)
class Known:
    """The context of what people are told: the cases that the facts name, as they are now, and the time."""

    cases: Mapping[int, StatementContext] = field(default_factory=dict)
    now_ms: int = 0
