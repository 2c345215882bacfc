"""The extent of an order to redact all that somebody wrote lately: in which rooms, and how many messages.

Left to others: the order itself (`moderation/cases/manager_orders.py`), doing it (`bot/effects/sweep.py`).
"""

from collections.abc import Sequence

from moderation.cases.everywhere import possible_in
from moderation.cases.manager_orders import Order, SweepRange
from moderation.model.context import RoomView
from moderation.values.errors import Refused
from moderation.values.notices import Line, Moment, Span, Who, line
from storage import queries

from .invocation import Call


async def written_by(call: Call, order: Order, rooms: Sequence[RoomView], span: int) -> tuple[SweepRange, ...]:
    """Return what the target wrote here, and in those of `rooms` where the caller may redact it.

    Rooms in which there is nothing are left out. Raises `Refused` if it is too far back.
    """
    limits, subject, since = call.policy.sweep, order.context.subject, call.now_ms - span
    if span > limits.within:
        raise Refused("error.redact.within", most=Span(limits.within))
    here = order.context.room
    found: list[SweepRange] = []
    for room in (here, *rooms) if subject.is_(order.by) else possible_in(order, "sweep", rooms):
        accounts = subject.accounts | {subject.user}
        places = await queries.with_former_rooms(call.db, room.room)
        said = await queries.written_since(call.db, places, accounts, since, limits.at_most, before=call.on)
        if said:
            found.append(SweepRange(room.room, since, len(said), said[-1].record))
    return tuple(found)


def sweep_lines(call: Call, order: Order, written: Sequence[SweepRange]) -> tuple[Line, ...]:
    """Say how much is redacted; nothing if that is nothing."""
    if not written:
        return ()
    count, since = sum(each.count for each in written), Moment(written[0].since)
    key = "done.sweep-most" if any(each.count == call.policy.sweep.at_most for each in written) else "done.sweep"
    return (line(key, who=Who(order.target), count=count, since=since),)
