"""Measures against a room itself. docs/model.md.

By neglect: rectify by a date, then posting is suspended, then the room is closed. Slow mode is only ordered by people.

Rules kept here:
- A measure by neglect or by the operator has a case about the owner, so that it can be explained and appealed.
- A measure that the people who run the room order is a measure alone: it says who ordered it, why and until when, and
  is about nobody.
- No two measures of one kind (against the same server) are in force in a room: the operator's order replaces the
  present one; an order by people of the room does not, except that they can change the pace of slow mode.
- A measure by neglect ends once no case waits with the operator any more, except that a closed room is only opened
  again by the operator.

Pure. Left to others: when to look (`moderation/cases/deadlines.py`, `bot/scheduler/scheduler.py`), what it means for
the room's levels (`align_room.py`), the rank that an order takes (`moderation/duty/responsibility.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from moderation.duty.duty import Duty
from moderation.duty.responsibility import Deed, is_operator, require
from moderation.model.builtin_rules import BY_ORDER, JOIN_WAVE, NEGLECT, ROOM_ORDER
from moderation.model.context import InForce, RoomView
from moderation.model.facts import (
    OF_ROOMS,
    REOPENED,
    Basis,
    Fact,
    SanctionKind,
    SanctionStarted,
    TaskOpened,
    WhyEnded,
)
from moderation.model.new_facts import decided_case
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import NO_USER, UserId
from moderation.values.power_levels import SERVER_ACL

IMPOSED: tuple[Basis, ...] = ("neglect", "operator")  # on the people who run the room
WITH_ITS_CASE: tuple[Basis, ...] = ("list", "decision")  # ended by whoever decides the case otherwise
RULE_OF: dict[Basis, str] = {"neglect": NEGLECT, "operator": ROOM_ORDER, "command": BY_ORDER, "rule": JOIN_WAVE}


def answers_for(duty: Duty, by: UserId = NO_USER) -> UserId:
    """Return the owner who is responsible for a room; "" if there is none.

    That is the actor, if they own it; else the first owner who is not away.
    """
    if by in duty.owners:
        return by
    theirs = [owner for owner in duty.owners if owner not in duty.offered]
    here = [owner for owner in theirs if owner not in duty.away]
    return next(iter((*here, *theirs, *duty.suspended_owners)), NO_USER)


# By neglect.


def rectify_neglected_room(
    *, room: RoomView, in_force: tuple[InForce, ...], owner: UserId, n: int, now_ms: int, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """Order the room to rectify by a date: a case has reached the operator because nobody decided it.

    Returns nothing if a measure already holds; but closing the room themselves saves nobody from this, nor does a wave.
    """
    if any(measure.basis in IMPOSED for measure in in_force if measure.kind in REOPENED):
        return ()
    until = now_ms + policy.groups.rectify_within
    begun = _begun(_By("neglect", n, on), "rectify", room, owner, until)
    return (*begun, TaskOpened(room=room.room, on=on, task="room", n=n, subject=owner))


def due(
    *,
    sanction: InForce,
    room: RoomView,
    in_force: tuple[InForce, ...],
    owner: UserId,
    n: int,
    waiting: int,
    now_ms: int,
    policy: Policy,
    on: int,
) -> tuple[Fact, ...]:
    """Return what becomes of a measure against a room (`sanction`, one of `in_force`) whose time is over.

    `waiting`: how many cases of the room still wait with the operator; `n`: the number for a new case.
    """
    if sanction.basis != "neglect" or not waiting:
        return _time_is_over(sanction, on)
    by = _By("neglect", n, on)
    if sanction.kind == "rectify":
        return _suspended(sanction, room, in_force, owner, now_ms + policy.groups.suspend_for, by)
    if policy.groups.close_after_suspension and not _stronger("close", in_force):
        gone = (*_of_kind("close", in_force), sanction)
        return (*_ended(gone, "overtaken", on), *_begun(by, "close", room, owner, 0))
    longer = sanction.extend(now_ms + policy.groups.suspend_for, on=on)
    return (longer, TaskOpened(room=room.room, on=on, task="room", n=sanction.n, subject=sanction.subject))


def end_neglect_measures(*, in_force: tuple[InForce, ...], on: int) -> tuple[Fact, ...]:
    """End the measures by neglect: the last case of the room that waited with the operator is decided."""
    resting = [each for each in in_force if each.basis == "neglect" and each.kind in ("rectify", "suspend")]
    return _ended(resting, "mended", on)


def _time_is_over(sanction: InForce, on: int) -> tuple[Fact, ...]:
    ended = _ended((sanction,), "time", on)
    if sanction.kind != "rectify" or sanction.basis == "neglect":
        return ended
    # Only the operator, who asked for it, can tell whether the room is in order now.
    return (*ended, TaskOpened(room=sanction.room, on=on, task="room", n=sanction.n, subject=sanction.subject))


def _suspended(
    rectify: InForce, room: RoomView, in_force: tuple[InForce, ...], owner: UserId, until: int, by: "_By"
) -> tuple[Fact, ...]:
    if _stronger("suspend", in_force):  # the operator is dealing with it already, and is asked again
        task = TaskOpened(room=room.room, on=by.on, task="room", n=rectify.n, subject=rectify.subject)
        return (*_ended((rectify,), "overtaken", by.on), task)
    gone = (rectify, *_of_kind("suspend", in_force))
    return (*_ended(gone, "overtaken", by.on), *_begun(by, "suspend", room, owner, until))


# By a rule of the bot's own.


def begin_by_rule(kind: SanctionKind, room: RoomView, *, n: int, until: int, on: int) -> tuple[Fact, ...]:
    """Impose a measure because many people came at once; its case is about nobody."""
    return _begun(_By("rule", n, on), kind, room, NO_USER, until)


# By order.


def order(
    kind: SanctionKind,
    *,
    by: UserId,
    room: RoomView,
    in_force: tuple[InForce, ...],
    owner: UserId,
    n: int,
    until: int,
    reason: str,
    policy: Policy,
    on: int,
    as_operator: bool = False,
    every: int = 0,
    server: str = "",
) -> tuple[Fact, ...]:
    """Impose a measure until `until` (0: no end); `every`: the pace of slow mode; `server`: which one is denied.

    Somebody with the right by the room's own levels uses that right; an operator without it, or who says so, acts as
    the operator. Raises `Refused` without any right, or if it holds already.
    """
    basis = basis_of(kind, by, room, policy, as_operator=as_operator)
    there = _of_kind(kind, in_force, server)
    if basis == "command" and there and kind != "slow":
        raise Refused(f"error.in-force.{kind}")
    if basis == "command" and room.condition != "protected":
        raise Refused("error.observed", room=room.room)
    return (
        *_ended(there, "overtaken", on),
        *_begun(_By(basis, n, on, by, reason), kind, room, owner, until, every, server),
    )


def lift(
    kinds: Iterable[SanctionKind],
    *,
    by: UserId,
    room: RoomView,
    in_force: tuple[InForce, ...],
    policy: Policy,
    on: int,
    deed: Deed = "reopen",
    server: str = "",
) -> tuple[Fact, ...]:
    """End measures of these kinds, or the denial of one `server`; returns nothing if none holds.

    Measures by the operator or by neglect are ended by an operator only, those by a rule by people of the room too. A
    denial that a policy list brought ends with its case: else the list would bring it again.
    Raises `Refused` without the right or, naming the case, if there is nothing else to end.
    """
    require(deed, by, room, policy)
    wanted = frozenset(kinds)
    there = [each for each in in_force if each.kind in wanted and each.server == server]
    free = [each for each in there if each.basis not in WITH_ITS_CASE]
    if not is_operator(by, policy):
        free = [each for each in free if each.basis in ("command", "rule")]
    if there and not free:
        raise Refused(f"error.imposed.{there[-1].basis}", n=there[-1].n)
    return _ended(free, "command", on, by)


DEED_OF: dict[SanctionKind, Deed] = {
    "suspend": "readonly",
    "close": "close",
    "slow": "slow",
    "lockdown": "lockdown",
    "server": "servers",
}


def basis_of(kind: SanctionKind, by: UserId, room: RoomView, policy: Policy, *, as_operator: bool = False) -> Basis:
    """Return the basis on which somebody orders a measure. Raises `Refused` if they may not."""
    deed = DEED_OF.get(kind)
    if deed is not None and not as_operator and _by_hand(deed, by, room):
        return "command"
    if is_operator(by, policy):
        return "operator"
    raise Refused(f"error.right.{deed or 'close'}", room=room.room)


def _by_hand(deed: Deed, by: UserId, room: RoomView) -> bool:
    role = room.power.role(by)
    if deed == "servers":
        return role != "member" and room.power.can_send(by, SERVER_ACL, state=True)
    return role == "owner" or (deed in ("readonly", "slow") and role == "manager")


# Pieces.


@dataclass(frozen=True, slots=True)
class _By:
    """The ground of a measure, and who ordered it, if anybody."""

    basis: Basis
    n: int
    on: int
    by: UserId = NO_USER
    reason: str = ""


def _begun(
    by: _By, kind: SanctionKind, room: RoomView, owner: UserId, until: int, every: int = 0, server: str = ""
) -> tuple[Fact, ...]:
    assert kind in OF_ROOMS
    own = by.basis == "command"
    started = SanctionStarted(
        room=room.room,
        on=by.on,
        kind=kind,
        until=until,
        n=0 if own else by.n,
        basis=by.basis,
        rule=RULE_OF[by.basis],
        every=every,
        subject=NO_USER if own else owner,
        by=by.by,
        reason=by.reason,
        server=server,
    )
    if own:
        return (started,)
    opened = decided_case(
        started.rule, room.room, by.n, owner, on=by.on, manages=bool(owner), by=by.by, reason=by.reason
    )
    return (opened, started)


def _of_kind(kind: SanctionKind, in_force: Iterable[InForce], server: str = "") -> tuple[InForce, ...]:
    return tuple(each for each in in_force if each.kind == kind and each.server == server)


def _stronger(kind: SanctionKind, in_force: Iterable[InForce]) -> bool:
    """Return whether the operator, or neglect before, has already imposed it."""
    return any(each.basis in IMPOSED for each in _of_kind(kind, in_force))


def _ended(measures: Iterable[InForce], why: WhyEnded, on: int, by: UserId = NO_USER) -> tuple[Fact, ...]:
    return tuple(each.end(why, on=on, by=by) for each in measures)
