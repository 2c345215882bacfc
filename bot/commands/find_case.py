"""The search for a case by its number, in the room that a command is about."""

from moderation.model.context import CaseView
from moderation.values.errors import Refused
from storage import queries

from .invocation import Call


async def find_case(call: Call, n: int) -> CaseView:
    """Return a case of the room. Raises `Refused` if there is none."""
    found = await queries.case_view(call.db, n)
    if found is None or found.room != call.group.room:
        raise Refused("error.case.none", n=n)
    return found
