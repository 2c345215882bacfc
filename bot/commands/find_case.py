"""The search for a case by its number, mostly in the room that a command is about."""

from moderation.model.context import CaseView
from moderation.values.errors import Refused
from storage import queries

from .invocation import Call


async def any_case(call: Call, n: int) -> CaseView:
    """Return a case by its number alone. Raises `Refused` if there is none."""
    found = await queries.case_view(call.db, n)
    if found is None:
        raise Refused("error.case.none", n=n)
    return found


async def find_case(call: Call, n: int) -> CaseView:
    """Return a case of the room. Raises `Refused` if there is none."""
    found = await any_case(call, n)
    if found.room != call.group.room:
        raise Refused("error.case.none", n=n)
    return found


async def find_order(call: Call, n: int) -> CaseView | None:
    """Return a case of another room if it is of an order that was given for this room, too."""
    found = await queries.case_view(call.db, n)
    is_meant = found is not None and call.group.room in found.elsewhere and not found.is_about(call.caller)
    return found if is_meant else None
