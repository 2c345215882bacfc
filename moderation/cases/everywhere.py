"""Orders for several rooms at once: each room is asked as if the order was given there by hand.

Rules kept here:
- There is one case, in the room where the order was given, and one measure for each room with the number of that case.
- The rooms are those of the same community; an operator's order is for all protected rooms.
- A room is left out where the person may not give the order, where it holds already, or where the bot only observes.
- The right is needed where the order is given.
- A ban by an operator, or by people whose word reaches the deployment, is carried out in each shard in the same way;
  the people of each room may end it there. Who gave it, and operators, recall it in all.

Left to others: the orders themselves (`manager_orders.py`), which rooms the person is in (`bot/commands/measures.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from moderation.duty.responsibility import Deed, is_operator, require_over
from moderation.model.context import RoomView
from moderation.model.facts import Fact, SanctionEnded, SanctionKind
from moderation.model.new_facts import sanction_here
from moderation.model.reach import DEPLOYMENT
from moderation.values.errors import Refused

from .manager_orders import Order, Ordered, case_of, lift, sanction


def sanction_everywhere(
    order: Order, kind: Ordered, rooms: Sequence[RoomView], *, until: int = 0, reason: str = ""
) -> tuple[Fact, ...]:
    """Mute, kick or ban somebody here and in those of `rooms` where it is possible. Raises `Refused` if nowhere is."""
    _require_here(order, kind)
    started = _each(order, rooms, lambda there: sanction(there, kind, until=until, reason=reason)[1:])
    return (case_of(order, reason), *started)


def lift_everywhere(order: Order, kind: SanctionKind, rooms: Sequence[RoomView]) -> tuple[Fact, ...]:
    """Unmute or unban somebody here and in those of `rooms` where it is possible; nothing if none of ours holds."""
    _require_here(order, "mute" if kind == "mute" else "unban")
    ended = _each(order, rooms, lambda there: lift(there, kind))
    return tuple({fact.start: fact for fact in ended if isinstance(fact, SanctionEnded)}.values())  # may cover several


def possible_in(order: Order, deed: Deed, rooms: Sequence[RoomView]) -> tuple[RoomView, ...]:
    """Return the room of the order, and those of `rooms` in which the person has the same right."""
    return tuple(there.context.room for there in _orders(order, rooms) if _may(there, deed))


def is_for_all_shards(order: Order, kind: Ordered) -> bool:
    """Return whether an order for several rooms is one for those of other shards, too."""
    return kind == "ban" and (is_operator(order.by, order.policy) or order.context.room.community == DEPLOYMENT)


def carry_out(order: Order, rooms: Sequence[RoomView], *, until: int, reason: str) -> tuple[Fact, ...]:
    """Return the case and the bans that an order of another shard brings in those of `rooms` where it is possible.

    What else holds there makes no difference: so it is the same in whatever order one hears of several.
    """
    is_above = is_operator(order.by, order.policy)
    within = [room for room in rooms if is_above or room.community == DEPLOYMENT]
    active = (room for room in within if room.purpose == "group" and room.condition == "protected")
    theres = [replace(order, context=replace(order.context, room=room)) for room in active]
    bans = [
        sanction_here(
            there.context,
            "ban",
            "command",
            n=order.context.next_case,
            on=order.on,
            until=until,
            by=order.by,
            reason=reason,
        )
        for there in theres
        if _may(there, "ban")
    ]
    if not bans:
        return ()
    first = next(there for there in theres if there.context.room.room == bans[0].room)
    return (case_of(first, reason), *bans)


def _require_here(order: Order, deed: Deed) -> None:
    require_over(deed, order.by, order.context.subject, order.context.room, order.policy, order.context.bot)


def _may(order: Order, deed: Deed) -> bool:
    try:
        _require_here(order, deed)
    except Refused:
        return False
    return True


def _orders(order: Order, rooms: Sequence[RoomView]) -> Iterator[Order]:
    """Yield the order as it would be given in each room, first the one where it was given."""
    here = order.context.room
    yield order
    for room in rooms:
        together = room.community == here.community or is_operator(order.by, order.policy)
        if together and room.room != here.room and room.purpose == "group" and room.condition == "protected":
            yield replace(order, context=replace(order.context, room=room))


def _each(order: Order, rooms: Sequence[RoomView], give: Callable[[Order], Sequence[Fact]]) -> list[Fact]:
    """Return the facts of the order in each room where it is possible.

    Raises `Refused` as it would be here, if it is possible nowhere.
    """
    facts: list[Fact] = []
    here: Refused | None = None
    for there in _orders(order, rooms):
        try:
            facts += give(there)
        except Refused as refused:
            here = refused if there is order else here
    if here is not None and not facts:
        raise here
    return facts
