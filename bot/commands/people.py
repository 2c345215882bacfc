"""vouch: what people say about other people."""

from moderation import orders
from moderation.credit import balance
from moderation.notices import Moment, Who, line
from storage import views

from .call import Call, Command, Reply


async def vouch(call: Call) -> Reply:
    """State that one knows who somebody is."""
    target = call.given.user
    assert target is not None
    order = await call.order(target)
    voucher = (await call.context(call.caller)).subject
    ledger = voucher.ledger(call.group.room, call.policy.credit)
    facts = orders.vouch(
        order,
        in_force_by_voucher=await views.vouches_by(call.db, call.caller, call.now_ms),
        credit=balance(ledger, call.now_ms, call.policy.credit),
    )
    until = call.now_ms + call.policy.verification.vouch_lasts
    return Reply((line("done.vouch", who=Who(target), until=Moment(until)),), facts)


COMMANDS = (Command("vouch", "manager", "user", vouch),)
