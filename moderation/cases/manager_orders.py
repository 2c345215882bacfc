"""Direct orders by managers: mute, kick, ban and their ends, warn, redact, vouch.

Each function checks whether the caller may (`moderation/duty/responsibility.py`), and returns the facts. Like
everything, these are recorded, told to the person concerned with reasons, and can be appealed and undone: so each is a
case, decided by the person who gave the order. Nothing here charges credit: that takes a rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from moderation.duty.responsibility import Deed, is_operator, require, require_over
from moderation.model.builtin_rules import BY_ORDER
from moderation.model.context import Context, RoomView
from moderation.model.facts import CaseOpened, Fact, PersonVerified, SanctionKind, Swept
from moderation.model.new_facts import decided_case, sanction_here
from moderation.model.reach import reach_of
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import NO_EVENT, EventId, RoomId, UserId

Ordered = Literal["warn", "mute", "kick", "ban"]
VOUCHED_LEVEL = 2  # docs/model.md, "Verification"


@dataclass(frozen=True, slots=True)
class Order:
    """An order: who gives it, the record it rests on, and its context (`context.subject` is the target)."""

    by: UserId
    on: int
    context: Context
    policy: Policy

    @property
    def target(self) -> UserId:
        return self.context.subject.user


def sanction(order: Order, kind: Ordered, *, until: int = 0, reason: str = "") -> tuple[Fact, ...]:
    """Mute, kick, ban or warn somebody. Raises `Refused` without the right, or if it holds already."""
    context, room = order.context, order.context.room
    require_over(kind, order.by, context.subject, room, order.policy, context.bot)
    if kind in ("mute", "ban"):
        _refuse_twice(order, kind)
    n = context.next_case
    start = sanction_here(context, kind, "command", n=n, on=order.on, until=until, by=order.by, reason=reason)
    return (case_of(order, reason), start)


def case_of(order: Order, reason: str, event: EventId = NO_EVENT) -> CaseOpened:
    """Return the case of a direct order: it is decided already."""
    room, person = order.context.room.room, order.context.subject
    return decided_case(
        BY_ORDER,
        room,
        order.context.next_case,
        order.target,
        on=order.on,
        manages=room in person.manages,
        event=event,
        by=order.by,
        reason=reason,
    )


def lift(order: Order, kind: SanctionKind) -> tuple[Fact, ...]:
    """Unmute or unban: end what holds in this room.

    Sanctions that rest on credit end by credit or by appeal only; what an operator imposed on all rooms ends by an
    operator's order only. Returns nothing if none of ours holds. Raises `Refused` without the right.
    """
    context, room = order.context, order.context.room
    deed: Deed = "mute" if kind == "mute" else "unban"
    require_over(deed, order.by, context.subject, room, order.policy, context.bot)
    holding = [s for s in context.subject.in_force if s.kind == kind and s.covers(room)]
    if holding and all(s.basis == "credit" for s in holding):
        raise Refused("error.lift.credit", who=order.target)
    above = not is_operator(order.by, order.policy)
    if holding and all(s.basis == "credit" or (above and s.basis == "operator") for s in holding):
        raise Refused("error.lift.operator", who=order.target)
    return tuple(
        replace(each.end("command", on=order.on, by=order.by), subject=order.target)
        for each in holding
        if each.basis != "credit" and not (above and each.basis == "operator")
    )


def redact(order: Order, event: EventId, *, reason: str = "") -> tuple[Fact, ...]:
    """Redact a message of the target. Raises `Refused` without the right.

    One's own message needs neither right nor case.
    """
    own = order.context.subject.is_(order.by)
    if not own:
        require("redact", order.by, order.context.room, order.policy)
    n = 0 if own else order.context.next_case
    gone = sanction_here(order.context, "redact", "command", n=n, on=order.on, event=event, by=order.by, reason=reason)
    return (gone,) if own else (case_of(order, reason, event), gone)


@dataclass(frozen=True, slots=True)
class SweepRange:
    """The messages of somebody in a room since a time (ms): how many messages, and the record of the oldest."""

    room: RoomId
    since: int
    count: int
    oldest: int


def sweep(order: Order, written: Sequence[SweepRange], *, reason: str = "") -> tuple[Fact, ...]:
    """Redact what the target wrote in one or more rooms, as one case. Raises `Refused` without the right here.

    Redacting all that somebody wrote takes a level above theirs. Of one's own it needs neither right nor case.
    """
    if order.context.subject.is_(order.by):
        return swept(order, written, n=0, reason=reason)
    require_sweep(order)
    return (case_of(order, reason), *swept(order, written, n=order.context.next_case, reason=reason))


def require_sweep(order: Order) -> None:
    """Raise `Refused` unless all that the target wrote may be redacted."""
    context = order.context
    require_over("sweep", order.by, context.subject, context.room, order.policy, context.bot)


def swept(order: Order, written: Sequence[SweepRange], *, n: int, reason: str = "") -> tuple[Swept, ...]:
    """Return the redactions of what the target wrote, as part of case `n`."""
    return tuple(
        Swept(
            room=each.room,
            on=order.on,
            since=each.since,
            until=order.context.now_ms,
            oldest=each.oldest,
            count=each.count,
            n=n,
            subject=order.target,
            by=order.by,
            reason=reason,
        )
        for each in written
    )


def vouch(order: Order, *, in_force_by_voucher: int, credit: int, level: int) -> tuple[Fact, ...]:
    """State that one knows who somebody is. Raises `Refused` without the right, for oneself, or past the limit.

    It counts in the community of the voucher. A voucher of tier B or below may not vouch, nor one who is less verified
    there (`credit` and `level` are the voucher's own); the level is not asked of an operator.
    """
    room = order.context.room
    require("vouch", order.by, room, order.policy)
    if order.context.subject.is_(order.by):
        raise Refused("error.target.self")
    if order.target == order.context.bot:
        raise Refused("error.target.bot")
    if level < VOUCHED_LEVEL and not is_operator(order.by, order.policy):
        raise Refused("error.vouch.level", level=level, needed=VOUCHED_LEVEL)
    if credit < order.policy.tiers.a:
        raise Refused("error.vouch.credit", credit=credit, needed=order.policy.tiers.a)
    limit = order.policy.verification.vouches_per_manager
    if in_force_by_voucher >= limit:
        raise Refused("error.vouch.limit", limit=limit)
    verified = PersonVerified(
        room=room.room,
        on=order.on,
        method="vouch",
        level=VOUCHED_LEVEL,
        until=order.context.now_ms + order.policy.verification.vouch_lasts,
        reach=reach_of(order.by, "", room.community, order.policy),
        subject=order.target,
        by=order.by,
    )
    return (verified,)


@dataclass(frozen=True, slots=True)
class Vouched:
    """A vouch in force: its record, room, voucher, end and reach."""

    record: int
    room: RoomId
    by: UserId
    until: int
    reach: str = ""


def unvouch(order: Order, vouches: Sequence[Vouched], *, false: bool) -> tuple[tuple[Fact, ...], tuple[UserId, ...]]:
    """Take back vouches for the target: one's own; as owner those of the room and its community; as operator all.

    Returns the facts and, with `false`, those who vouched for somebody they did not know. Raises `Refused` if there is
    nothing to take back, or if the caller may not say that it was false.
    """
    room, by = order.context.room, order.by
    above = is_operator(by, order.policy)
    owner = room.power.role(by) == "owner"
    theirs = [each for each in vouches if each.by == by or above or (owner and _is_theirs(each, room))]
    if not theirs:
        raise Refused("error.unvouch.others" if vouches else "error.unvouch.none", who=order.target)
    if false and not (above or owner):
        raise Refused("error.unvouch.false")
    accused = tuple(dict.fromkeys(each.by for each in theirs if each.by not in ("", by))) if false else ()
    if false and not accused:
        raise Refused("error.unvouch.own")
    revoked = tuple(
        PersonVerified(
            room=each.room or None,
            on=order.on,
            step="revoked",
            method="vouch",
            level=VOUCHED_LEVEL,
            until=order.context.now_ms,
            undoes=each.record,
            why="false" if false else "-",
            subject=order.target,
            by=by,
        )
        for each in theirs
    )
    return revoked, accused


def _is_theirs(vouched: Vouched, room: RoomView) -> bool:
    """Return whether the owner of this room may take it back: what every room relies on is the operator's."""
    return vouched.room == room.room or (bool(vouched.reach) and vouched.reach == room.community)


def _refuse_twice(order: Order, kind: SanctionKind) -> None:
    room = order.context.room
    for holding in order.context.subject.in_force:
        if holding.kind == kind and holding.covers(room):
            raise Refused(f"error.already.{kind}", who=order.target)
    if kind == "mute" and room.power.is_muted(order.target):
        raise Refused("error.already.mute", who=order.target)
