"""receipt, mydata, erase: what people may ask about their own data.

Rules kept here:
- People ask only for themselves.
- What is given goes into a direct message.
- Erasing is explained first, and confirmed by the number of the request within a quarter of an hour.
"""

from moderation.model.actions.people import Erase, GiveData, GiveReceipt
from moderation.model.facts import DataAsked
from moderation.values.errors import Refused
from moderation.values.notices import line

from .confirmation import must_have_asked
from .invocation import Call, Command, Reply


async def receipt(call: Call) -> Reply:
    """Give the proof that the caller's own message is in the log, asked for as a reply to that message."""
    reply_to = getattr(call.event, "reply_to", None)
    row = await call.setup.known_event(call.db, reply_to) if reply_to else None
    if row is None or row.sender != call.caller:
        raise Refused("error.receipt.reply")
    asked = DataAsked(room=call.group.room, on=call.on, what="receipt", subject=call.caller)
    give = GiveReceipt(room=call.group.room, subject=call.caller, on=row.record)
    return Reply((line("own.receipt"),), (asked,), (give,), private=True)


async def mydata(call: Call) -> Reply:
    """Give all data held about the caller."""
    asked = DataAsked(room=call.group.room, on=call.on, what="mydata", subject=call.caller)
    give = GiveData(room=call.group.room, subject=call.caller)
    return Reply((line("own.mydata"),), (asked,), (give,), private=True)


async def erase(call: Call) -> Reply:
    """Explain what would go and what would stay; with the number of the request, erase."""
    if call.given.request is None:
        asked = DataAsked(room=call.group.room, on=call.on, what="erase", subject=call.caller)
        return Reply((line("own.erase.explain"), line("own.erase.confirm", n=call.on)), (asked,), private=True)
    await must_have_asked(call, "erase", "erase")
    act = Erase(room=call.group.room, subject=call.caller)
    return Reply((line("own.erase.begun"),), actions=(act,), private=True)


SUBJECT = "yourself"
COMMANDS = (
    Command("receipt", "everyone", "", receipt, exports=True),
    Command("mydata", "everyone", "", mydata, anywhere=True, exports=True, first=True),
    Command("erase", "everyone", "request?", erase, anywhere=True),
)
