"""The record that somebody looked up another person's cases or credit, so that this person can learn of it."""

from moderation.model.facts import ContentRead, Fact
from moderation.values.ids import UserId
from storage import queries

from .invocation import Call


async def looked_at(call: Call, person: UserId, what: str, n: int = 0) -> tuple[Fact, ...]:
    """Return the fact of a look-up: one a person, reader and day. Reading about oneself is not recorded."""
    if not person or person in await queries.accounts_of(call.db, call.caller):
        return ()
    if await queries.was_looked_at(call.db, person, call.now_ms, by=call.caller):
        return ()
    return (ContentRead(room=call.group.room, on=call.on, what=what, n=n, subject=person, by=call.caller),)
