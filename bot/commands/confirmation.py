"""The confirmation of a command that was explained first, by the number of the request."""

from moderation.values.durations import MS_PER
from moderation.values.errors import Refused
from moderation.values.notices import Code
from storage import queries

from .invocation import Call

CONFIRM_WITHIN_MS = 15 * MS_PER["m"]


async def must_have_asked(call: Call, name: str, what: str) -> None:
    """Raise `Refused` unless the caller asked for `what`, under the number given, within a quarter of an hour."""
    if not await was_asked(call, what):
        raise Refused(f"error.{name}.number", **{name: Code(call.setup.prefix + name)})


async def was_asked(call: Call, what: str) -> bool:
    """Tell whether the caller asked for `what`, under the number given, within a quarter of an hour."""
    since, number = call.now_ms - CONFIRM_WITHIN_MS, call.given.request
    return number is not None and await queries.was_asked(call.db, number, call.caller, since, what)
