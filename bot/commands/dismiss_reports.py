"""dismiss-reports: dismiss at once all cases that wait because of one member's reports.

Rules kept here:
- Cases that others reported too stay.
- Cases about the caller stay.
- The member is named by a case that they reported, or by their id or name.
- Nobody else sees the answer.

Left to others: what follows (`decide_together.py`).
"""

from moderation.duty.responsibility import require
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import line
from storage import queries

from .decide_together import decided_together
from .find_case import find_case
from .invocation import Call, Command, Reply


async def run(call: Call) -> Reply:
    """Dismiss every undecided case of the room that rests on the reports of one member alone."""
    require("decide", call.caller, call.group, call.policy)
    user = await _reporter(call)
    if not call.given.reason.strip():
        raise Refused("error.missing.dismissal")
    alone, shared = await _cases(call, user)
    cases = [case for n in alone if (case := await queries.case_view(call.db, n)) is not None]
    facts, own = await decided_together(
        call.db,
        call.setup.knowledge,
        cases,
        "dismissed",
        call.caller,
        call.given.reason,
        call.setup.configured,
        call.now_ms,
        call.on,
    )
    if not facts:
        raise Refused("error.dismiss-reports.nothing")
    kept = shared + own
    lines = [line("done.dismiss-reports", count=len(cases) - own)]
    return Reply((*lines, line("done.dismiss-reports-kept", count=kept)) if kept else tuple(lines), facts)


async def _reporter(call: Call) -> UserId:
    n = call.given.case
    if n is None:
        if call.given.user is None:
            raise Refused("error.dismiss-reports.who", given=call.given.reason[:60])
        return call.given.user
    await find_case(call, n)
    users = await queries.reporters_of(call.db, n)
    if len(users) != 1:
        raise Refused("error.dismiss-reports.several" if users else "error.dismiss-reports.nothing", n=n)
    return users[0]


async def _cases(call: Call, user: UserId) -> tuple[list[int], int]:
    """Return the cases that only this person reported, and how many others reported too."""
    accounts = set(await queries.accounts_of(call.db, user))
    numbers = await queries.open_reports_by(call.db, user, call.group.room)
    alone = [n for n in numbers if accounts >= set(await queries.reporters_of(call.db, n))]
    return alone, len(numbers) - len(alone)


SUBJECT = "reports"
COMMANDS = (
    Command("dismiss-reports", "manager", "case? user? reason*", run, aliases=("dismissreports",), discreet=True),
)
