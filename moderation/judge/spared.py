"""The people to whom a rule does not apply (`unless`).

Rules kept here:
- Only what is in the context counts, so that a record can be judged again.
- It concerns nobody but the sender: what others say of them changes nothing.

Pure. Left to others: the conditions themselves (`moderation/rules/unless.py`), counting messages
(`bot/pipeline/view_cache.py`).
"""

from moderation.model.context import Context
from moderation.people.verification import asked_of, level_reached
from moderation.policy import Policy
from moderation.rules.unless import Unless
from moderation.values.ids import is_named


def is_spared(unless: Unless, context: Context, policy: Policy) -> bool:
    """Return whether `context.subject` meets one of the conditions of a rule."""
    return (
        is_named(unless.users, context.subject.user)
        or _at_least(unless.messages, context.said)
        or _at_least(unless.in_room_for, _known_for(context))
        or (unless.verified is not None and _level(context, policy) >= unless.verified)
    )


def _at_least(asked: int | None, there: int) -> bool:
    return asked is not None and there >= asked


def _level(context: Context, policy: Policy) -> int:
    methods = asked_of(context.room, policy).methods
    return level_reached(context.subject.proofs, methods, context.room, context.now_ms)


def _known_for(context: Context) -> int:
    since = context.subject.since.get(context.room.room, 0)
    return context.now_ms - since if since else 0
