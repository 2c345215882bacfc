"""credit and history: a person's credit or standing, and the reasons for it."""

from bot.texts.case_card import past_line
from bot.texts.credit_lines import MAX_ENTRIES, CreditShown, credit_lines
from moderation.duty.responsibility import require
from moderation.model.context import RoomView
from moderation.values.notices import Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .reading import looked_at
from .rights import must_be_known_here, must_have, which_room


async def credit(call: Call) -> Reply:
    """Show the caller's own credit; to a manager who gives a name, that person's."""
    user = call.given.user or call.caller
    if user != call.caller and call.group.purpose != "group":
        raise await which_room(call, "credit")  # rights belong to a group, not to a direct room
    if user != call.caller:
        await must_have(call, "history")
        await must_be_known_here(call, user)
    context = await call.context(user)
    own = user == call.caller
    shown = CreditShown(context.subject, _place(call), call.policy, call.now_ms, own=own)
    read = await looked_at(call, user, "credit")
    return Reply(credit_lines(shown), read, private=True)


def _place(call: Call) -> RoomView | None:
    """Return the group that is meant; None in a direct message that names none: then show what counts everywhere."""
    return call.group if call.group.purpose == "group" else None


async def history(call: Call) -> Reply:
    """Show managers the cases of a person in this room."""
    require("history", call.caller, call.group, call.policy)
    user = call.given.user
    assert user is not None
    await must_be_known_here(call, user)
    cases = await queries.cases_of(call.db, user, call.group.room, MAX_ENTRIES)
    read = await looked_at(call, user, "history")
    if not cases:
        return Reply((line("history.none", who=Who(user)),), read, private=True)
    lines = [line("history.head", who=Who(user), count=len(cases))]
    lines += map(past_line, cases)
    return Reply(tuple(lines), read, private=True)


SUBJECT = "credit"
COMMANDS = (
    Command("credit", "everyone", "user?", credit, anywhere=True, first=True),
    Command("history", "manager", "user", history, deed="history"),
)
