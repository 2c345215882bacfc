"""comment: the person whom a case concerns says something before it is decided."""

from moderation.cases.comments import comment_on
from moderation.values.durations import DAY_MS
from moderation.values.notices import line
from storage import queries

from .find_case import any_case
from .invocation import Call, Command, Reply


async def comment(call: Call) -> Reply:
    """Show the words of the caller to the people who decide a case about them."""
    n = call.given.case or 0
    found = await any_case(call, n)
    accounts = await queries.accounts_of(call.db, call.caller)
    earlier = await queries.comments_of(call.db, accounts, 0, n)
    today = await queries.comments_of(call.db, accounts, call.now_ms - DAY_MS)
    facts = comment_on(found, by=call.caller, words=call.given.reason, earlier=earlier, today=today, on=call.on)
    return Reply((line("done.comment", n=n),), facts, call.gone(), private=True)


SUBJECT = "cases"
COMMANDS = (Command("comment", "everyone", "case reason*", comment, anywhere=True),)
