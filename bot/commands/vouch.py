"""vouch, unvouch: people vouch for others, and take it back."""

from moderation.cases import manager_orders
from moderation.cases.neglect import neglect_facts
from moderation.credit.ledger import account
from moderation.model.builtin_rules import FALSE_VOUCH
from moderation.model.facts import Fact
from moderation.people.verification import level_reached
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.levels import REACHES
from moderation.values.notices import Moment, Who, line
from storage import queries

from .invocation import Call, Command, Reply

FALSE = ("false", "不实", "虚假")


async def vouch(call: Call) -> Reply:
    """State that the caller knows who a person is."""
    target = call.given.user
    assert target is not None
    order = await call.order(target)
    voucher = (await call.context(call.caller)).subject
    facts = manager_orders.vouch(
        order,
        in_force_by_voucher=await queries.vouches_by(call.db, call.caller, call.now_ms),
        credit=account(voucher, "credit", call.group, call.policy).balance(call.now_ms),
        level=level_reached(voucher.proofs, frozenset(REACHES), call.group, call.now_ms),
    )
    until = call.now_ms + call.policy.verification.vouch_lasts
    return Reply((line("done.vouch", who=Who(target), until=Moment(until)),), facts)


async def unvouch(call: Call) -> Reply:
    """Take a vouch back; an owner or operator can also call it false, which counts against the voucher."""
    target = call.given.user
    assert target is not None
    first, _, reason = call.given.reason.partition(" ")
    false = first.lower() in FALSE
    if first and not false:
        raise Refused("error.superfluous", words=call.given.reason[:60])
    if false and not reason.strip():
        raise Refused("error.missing.words")
    vouches = await queries.vouches_for(call.db, target, call.now_ms)
    facts, accused = manager_orders.unvouch(await call.order(target), vouches, false=false)
    for number, voucher in enumerate(accused):
        room = next(each.room for each in vouches if each.by == voucher)
        facts = (*facts, *await _charged(call, voucher, room, reason.strip(), call.setup.knowledge.next_case + number))
    key = "done.unvouch-false" if accused else "done.unvouch"
    return Reply((line(key, who=Who(target)),), facts)


async def _charged(call: Call, voucher: UserId, room: RoomId, reason: str, n: int) -> tuple[Fact, ...]:
    """Return the case against a person who vouched falsely, in the room where they did."""
    there = await call.setup.knowledge.room(call.db, room) or call.group
    context = await call.setup.knowledge.context(call.db, there, voucher, call.now_ms)
    return neglect_facts(
        context, FALSE_VOUCH, n=n, about=0, policy=call.policy, on=call.on, by=call.caller, reason=reason
    )


SUBJECT = "vouching"
COMMANDS = (
    Command("vouch", "manager", "user", vouch, deed="vouch"),
    Command("unvouch", "everyone", "user reason*", unvouch, inside=True),
)
