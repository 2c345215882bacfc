"""console: a link to the web console, for people who run a room.

Rules kept here:
- It is given only in a direct room, to managers and owners. Operators get in at the terminal, since the homeserver can
  speak as anybody.

Left to others: making and sending it (`bot/effects/console_link.py`), who may see what there (`bot/console/`).
"""

from moderation.duty.responsibility import is_operator, role
from moderation.model.actions.telling import GiveConsoleLink
from moderation.values.durations import HOUR_MS, MS_PER
from moderation.values.errors import Refused
from moderation.values.notices import Code
from storage import queries

from .invocation import Call, Command, Reply

MOST_LINKS = 6  # of one person in an hour
GIVEN_WITHIN_MS = 5 * MS_PER["m"]  # after it was asked for; later nobody waits for it


async def console(call: Call) -> Reply:
    """Give the caller a link to the web console, if they run a room."""
    if call.here.purpose != "direct":
        raise Refused("error.console.direct", command=Code(f"{call.setup.prefix}console"))
    if not await _runs_a_room(call):
        raise Refused("error.console.operator" if is_operator(call.caller, call.policy) else "error.console.nowhere")
    if call.setup.console is None:
        operators = call.setup.configured.operators
        raise Refused("error.console.off" if operators else "error.console.off-all", operators=", ".join(operators))
    given = await queries.console_links_since(call.db, call.caller, call.now_ms - HOUR_MS)
    if len(given) >= MOST_LINKS:
        raise Refused("error.too-often", until=given[0] + HOUR_MS)
    until = call.now_ms + GIVEN_WITHIN_MS
    return Reply(actions=(GiveConsoleLink(room=call.here.room, subject=call.caller, on=call.on, until=until),))


async def _runs_a_room(call: Call) -> bool:
    rooms = [await call.setup.knowledge.room(call.db, room) for room in await queries.answers_for(call.db, call.caller)]
    return any(room is not None and role(call.caller, room) != "member" for room in rooms)


SUBJECT = "cases"
COMMANDS = (Command("console", "manager", "", console, aliases=("webconsole",), anywhere=True),)
