"""The consequences of the facts of one cause, looked at together.

So a person is told once, in one message, everything that one violation brought. This also makes a crash harmless: facts
read back from the journal give the same actions.
"""

from collections.abc import Sequence

from moderation.model.actions.base import Action
from moderation.model.facts import CaseExtended, Fact
from moderation.model.notifications import rung_once
from moderation.values.ids import NO_USER, RoomId, UserId

from .follow import follow, invited_back
from .known import Consequence, Known, Reporters, RoomsOf
from .people import outcomes_told, put_off_told, tell


def consequences(
    facts: Sequence[Fact], rooms_of: RoomsOf, reporters: Reporters | None = None, known: Known | None = None
) -> tuple[Consequence, ...]:
    """Return what follows from the facts of one cause, in the order in which it is to be queued."""
    known = known or Known()
    actions = rung_once([action for fact in facts for action in (*follow(fact, rooms_of), *invited_back(fact, known))])
    outcomes = outcomes_told(facts, reporters or {})
    subjects = (getattr(fact, "subject", NO_USER) for fact in facts)
    people = dict.fromkeys((*filter(None, subjects), *outcomes))
    later = [word for fact in facts if isinstance(fact, CaseExtended) for word in put_off_told(fact, reporters or {})]
    told = [action for user in people for action in tell(user, facts, rooms_of, outcomes.get(user, ()), known)]
    return (*actions, *later, *told)


def at_once(facts: Sequence[Fact]) -> tuple[Action, ...]:
    """Return the consequences that can begin early, in the same order: they follow from the facts alone."""
    following = (action for fact in facts for action in follow(fact, _in_none))
    return tuple(action for action in following if isinstance(action, Action) and action.early)


def _in_none(_user: UserId, _reach: str = "") -> Sequence[RoomId]:
    return ()
