"""claim, later: take a case, and put off its deadline once; by command or by a reaction on its card."""

from moderation.cases.claim import claim, extend
from moderation.model.context import CaseView
from moderation.values.notices import Moment, line
from storage import queries

from .find_case import find_case
from .invocation import Call, Command, Reply


async def take(call: Call) -> Reply:
    """Say that the caller takes a case. The deadline stays."""
    return await taken(call, await find_case(call, call.given.case or 0))


async def later(call: Call) -> Reply:
    """Put off the deadline of a case, once."""
    return put_off(call, await find_case(call, call.given.case or 0))


async def taken(call: Call, case: CaseView) -> Reply:
    """Return the claim of a case."""
    assigned = await queries.assigned_to(call.db, case.n, case.asked)
    facts = claim(case, by=call.caller, room=call.group, policy=call.policy, assigned=assigned, on=call.on)
    return Reply((line("done.claim", n=case.n, due=Moment(case.due)),), facts)


def put_off(call: Call, case: CaseView) -> Reply:
    """Return the new deadline of a case."""
    fact = extend(case, by=call.caller, room=call.group, policy=call.policy, now_ms=call.now_ms, on=call.on)
    return Reply((line("done.later", n=case.n, due=Moment(fact.due)),), (fact,))


SUBJECT = "cases"
COMMANDS = (
    Command("claim", "manager", "case", take),
    Command("later", "manager", "case", later),
)
