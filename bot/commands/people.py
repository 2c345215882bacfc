"""vouch and report: what people say about other people."""

from moderation import orders
from moderation.actions import TellDesk
from moderation.credit import balance
from moderation.errors import Refused
from moderation.facts import Reported
from moderation.ids import UserId
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


async def report(call: Call) -> Reply:
    """Point the managers to a message, as a reply to it. The reporter's name is shown to managers only."""
    reply_to = getattr(call.event, "reply_to", None)
    row = await views.event_row(call.db, reply_to) if reply_to else None
    if row is None or row.room != call.group.room:
        raise Refused("error.report.reply")
    where = f"https://matrix.to/#/{row.room}/{row.event}"
    lines = [line("desk.report", by=Who(call.caller), who=Who(row.sender), link=where)]
    if call.given.reason:
        lines.append(line("notice.reason", reason=call.given.reason))
    told = TellDesk(room=call.group.room, lines=tuple(lines))
    reported = Reported(
        room=call.group.room,
        on=row.record,
        subject=UserId(row.sender),
        by=call.caller,
        reason=call.given.reason,
    )
    return Reply((line("report.thanks"),), (reported,), (told, *call.gone()), private=True)


COMMANDS = (
    Command("report", "everyone", "reason*", report, inside=True),
    Command("vouch", "manager", "user", vouch),
)
