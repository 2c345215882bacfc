"""warn, redact, mute, unmute, kick, ban, unban: a manager's direct measures."""

from moderation.cases import manager_orders
from moderation.model.actions import Action, Unban
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import EventId, UserId
from moderation.values.notices import Line, Moment, Who, line
from storage import queries

from .invocation import Call, Command, Reply, Run
from .rights import must_be_known_here

MUTE_UNLESS_SAID = HOUR_MS
MOST_ORDERS = 10  # of one manager against one person in an hour; each is told to that person


def _impose(kind: manager_orders.Ordered) -> Run:
    async def run(call: Call) -> Reply:
        target = _target(call)
        await must_be_known_here(call, target)
        if await queries.orders_against(call.db, call.caller, target, call.now_ms - HOUR_MS) >= MOST_ORDERS:
            raise Refused("error.orders-limit", who=target, limit=MOST_ORDERS)
        lasts = call.given.duration_ms or (MUTE_UNLESS_SAID if kind == "mute" else 0)
        until = call.now_ms + lasts if lasts else 0
        facts = manager_orders.sanction(await call.order(target), kind, until=until, reason=call.given.reason)
        return Reply((_done(kind, target, until),), facts)

    return run


async def unmute(call: Call) -> Reply:
    """End the mutes that hold here."""
    target = _target(call)
    facts = manager_orders.lift(await call.order(target), "mute")
    if not facts:
        raise Refused("error.not-muted", who=target)
    return Reply((line("done.unmute", who=Who(target)),), facts)


async def unban(call: Call) -> Reply:
    """End a ban, also one that was set by hand."""
    target = _target(call)
    facts = manager_orders.lift(await call.order(target), "ban")
    actions: tuple[Action, ...] = ()
    if not facts:
        there = (await queries.memberships(call.db, call.group.room)).get(target)
        if there != "ban":
            raise Refused("error.not-banned", who=target)
        actions = (Unban(room=call.group.room, subject=target),)
    return Reply((line("done.unban", who=Who(target)),), facts, actions)


async def redact(call: Call) -> Reply:
    """Redact the message that this command replies to."""
    reply_to: EventId | None = getattr(call.event, "reply_to", None)
    row = await queries.event_row(call.db, reply_to) if reply_to else None
    if reply_to is None or row is None or row.room != call.group.room:
        raise Refused("error.redact.reply")
    order = await call.order(UserId(row.sender))
    if row.sender == call.setup.bot:
        raise Refused("error.target.bot")
    facts = manager_orders.redact(order, reply_to, reason=call.given.reason)
    return Reply((), facts, call.gone())


def _target(call: Call) -> UserId:
    assert call.given.user is not None
    return call.given.user


def _done(kind: str, target: UserId, until: int) -> Line:
    if until:
        return line(f"done-until.{kind}", who=Who(target), until=Moment(until))
    return line(f"done.{kind}", who=Who(target))


SUBJECT = "measures"
COMMANDS = (
    Command("warn", "manager", "user reason*", _impose("warn"), first=True, deed="warn"),
    Command("redact", "manager", "reason*", redact, wording=("error.redact.reply",), deed="redact"),
    Command("mute", "manager", "user duration? reason*", _impose("mute"), first=True, deed="mute"),
    Command("unmute", "manager", "user", unmute, deed="mute"),
    Command("kick", "manager", "user reason*", _impose("kick"), deed="kick"),
    Command("ban", "manager", "user duration? reason*", _impose("ban"), deed="ban"),
    Command("unban", "manager", "user", unban, deed="unban"),
)
