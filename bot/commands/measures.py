"""warn, redact, mute, unmute, kick, ban, unban: a manager's direct measures."""

from collections.abc import Sequence
from typing import Literal

from moderation.cases import manager_orders
from moderation.cases.everywhere import carry_out, is_for_all_shards, lift_everywhere, possible_in, sanction_everywhere
from moderation.duty.responsibility import is_operator
from moderation.model.actions.removal import Unban
from moderation.model.context import RoomView
from moderation.model.facts import (
    Fact,
    OrderedEverywhere,
    OrderRecalled,
    SanctionEnded,
    SanctionStarted,
    Swept,
)
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import Line, Moment, Span, Who, line
from storage import queries
from storage.queries.shards import orders_in_force

from . import everywhere
from .invocation import Call, Command, Reply, Run
from .lists import spared_line, spared_too
from .rights import must_be_known_here
from .sweep import sweep_lines, written_by

MUTE_UNLESS_SAID = HOUR_MS
MOST_ORDERS = 10  # of one manager against one person in an hour; each is told to that person


def _impose(kind: manager_orders.Ordered) -> Run:
    async def run(call: Call) -> Reply:
        target = _target(call)
        await _must_be_in_reach(call, target)
        call = await everywhere.confirmed(call)
        lasts = call.given.duration_ms or (MUTE_UNLESS_SAID if kind == "mute" else 0)
        until = call.now_ms + lasts if lasts else 0
        rooms = await everywhere.rooms_meant(call, with_person=target if kind == "kick" else None)
        order, reason = await call.order(target), call.given.reason
        beyond = call.given.everywhere and call.setup.sharded and is_for_all_shards(order, kind)
        facts = (
            await _imposed(order, kind, rooms, until, call)
            if beyond
            else sanction_everywhere(order, kind, rooms, until=until, reason=reason)
        )
        lines: tuple[Line, ...] = (_done(kind, target, until),)
        if call.given.sweep_ms:
            manager_orders.require_sweep(order)
            written = await written_by(call, order, rooms, call.given.sweep_ms)
            facts += manager_orders.swept(order, written, n=order.context.next_case, reason=reason)
            lines += sweep_lines(call, order, written)
        return await everywhere.answer(call, _rooms(facts), Reply(lines, facts), beyond=beyond)

    return run


async def _imposed(
    order: manager_orders.Order, kind: manager_orders.Ordered, rooms: Sequence[RoomView], until: int, call: Call
) -> tuple[Fact, ...]:
    """Return the facts of an order for the rooms of all shards: also if it holds in all those of this one already.

    The people of a room of another shard may have ended an earlier order there for themselves. Then, as in each shard,
    this one brings bans of its own, which stay when the earlier one ends.
    """
    reason, opened = call.given.reason, manager_orders.case_of(order, call.given.reason)
    try:
        facts = sanction_everywhere(order, kind, rooms, until=until, reason=reason)
    except Refused as refused:
        if refused.key != f"error.already.{kind}":
            raise
        facts = (opened,)
    if await orders_in_force(call.db, call.now_ms, person=order.context.subject.person):
        brought = carry_out(order, (order.context.room, *rooms), until=until, reason=reason)
        facts = (opened, *brought[1:])
    here, n = order.context.room.room, order.context.next_case
    noted = OrderedEverywhere(
        room=here, on=order.on, until=until, n=n, subject=order.target, by=order.by, reason=reason
    )
    return (*facts, noted)


async def _must_be_in_reach(call: Call, target: UserId) -> None:
    """Raise `Refused` if the target is not known here, or the caller has given too many orders about them."""
    await must_be_known_here(call, target)
    if await queries.orders_against(call.db, call.caller, target, call.now_ms - HOUR_MS) >= MOST_ORDERS:
        raise Refused("error.orders-limit", who=target, limit=MOST_ORDERS)


def _lift(kind: Literal["mute", "ban"]) -> Run:
    async def run(call: Call) -> Reply:
        """End the mutes or bans that hold here, and bans that were set by hand."""
        target = _target(call)
        call = await everywhere.confirmed(call)
        order, rooms = await call.order(target), await everywhere.rooms_meant(call)
        facts = lift_everywhere(order, kind, rooms)
        actions = await _bans_by_hand(call, order, rooms) if kind == "ban" else ()
        recalled = await _recalled(call, order) if kind == "ban" and call.given.everywhere else ()
        facts = (*facts, *recalled)
        if not (facts or actions):
            raise Refused(f"error.not-{'muted' if kind == 'mute' else 'banned'}", who=target)
        spared = await spared_too(call, order, facts)
        lines = (line(f"done.un{kind}", who=Who(target)), *((spared_line(call, target),) if spared else ()))
        done = Reply(lines, (*facts, *spared), actions)
        where = (*_rooms(facts), *(action.room for action in actions))
        return await everywhere.answer(call, where, done, beyond=bool(recalled))

    return run


async def _recalled(call: Call, order: manager_orders.Order) -> tuple[OrderRecalled, ...]:
    """Return the ends of orders for all shards that the caller gave, or may end as an operator."""
    known = await orders_in_force(call.db, call.now_ms, person=order.context.subject.person)
    own = [each for each in known if each.by == call.caller or is_operator(call.caller, call.policy)]
    room = call.group.room
    return tuple(
        OrderRecalled(
            room=room, on=call.on, start=each.record, why="command", n=each.n, subject=each.subject, by=call.caller
        )
        for each in own
    )


async def _bans_by_hand(call: Call, order: manager_orders.Order, rooms: Sequence[RoomView]) -> tuple[Unban, ...]:
    """Return the ends of bans that somebody set by hand in the rooms where the caller may lift them."""
    theirs = await queries.memberships_of(call.db, order.target)
    ours = order.context.subject.in_force
    return tuple(
        Unban(room=room.room, subject=order.target)
        for room in possible_in(order, "unban", rooms)
        if theirs.get(room.room) == "ban" and not any(each.kind == "ban" and each.covers(room) for each in ours)
    )


def _rooms(facts: Sequence[Fact]) -> tuple[RoomId, ...]:
    of_people = (fact.room for fact in facts if isinstance(fact, SanctionStarted | SanctionEnded | Swept))
    return tuple(dict.fromkeys(room for room in of_people if room is not None))


async def redact(call: Call) -> Reply:
    """Redact the message that this command replies to, or what somebody wrote in the last time."""
    if call.given.duration_ms is not None:
        return await _sweep(call, call.given.duration_ms)
    reply_to: EventId | None = getattr(call.event, "reply_to", None)
    row = await call.setup.known_event(call.db, reply_to) if reply_to else None
    if reply_to is None or row is None or row.room != call.group.room:
        raise Refused("error.redact.reply")
    if call.given.user not in (None, row.sender):
        raise Refused("error.user.reply", given=call.given.user, who=call.given.user, other=Who(UserId(row.sender)))
    order = await call.order(UserId(row.sender))
    if row.sender == call.setup.bot:
        raise Refused("error.target.bot")
    facts = manager_orders.redact(order, reply_to, reason=call.given.reason)
    return Reply((), facts, call.gone())


async def _sweep(call: Call, span: int) -> Reply:
    if call.given.user is None:
        raise Refused("error.redact.reply")
    target = _target(call)
    await _must_be_in_reach(call, target)
    call = await everywhere.confirmed(call)
    order, rooms = await call.order(target), await everywhere.rooms_meant(call)
    written = await written_by(call, order, rooms, span)
    facts = manager_orders.sweep(order, written, reason=call.given.reason)
    if not written:
        raise Refused("error.redact.none", who=target, span=Span(span))
    reply = Reply(sweep_lines(call, order, written), facts, call.gone())
    return await everywhere.answer(call, _rooms(facts), reply)


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
    Command(
        "redact",
        "manager",
        "user? duration? everywhere? reason*",
        redact,
        by_reply=True,
        wording=("error.redact.reply", "error.redact.within"),
        deed="redact",
    ),
    Command("mute", "manager", "user duration? everywhere? sweep? reason*", _impose("mute"), first=True, deed="mute"),
    Command("unmute", "manager", "user everywhere?", _lift("mute"), deed="mute"),
    Command("kick", "manager", "user everywhere? sweep? reason*", _impose("kick"), deed="kick"),
    Command("ban", "manager", "user duration? everywhere? sweep? reason*", _impose("ban"), deed="ban"),
    Command("unban", "manager", "user everywhere?", _lift("ban"), deed="unban"),
)
