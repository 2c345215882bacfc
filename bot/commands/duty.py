"""away, back, duty: who is on duty for a group, and when.

Rules kept here:
- Being away counts everywhere, and is said in the desk of every group that the person answers for.
- Before they go, they are told which groups are left with nobody, and what that means.
- The owner or the operator writes a roster, and the person in it is told (`moderation/consequences/`).

Left to others: what hours are (`moderation/duty/hours.py`), who is on duty by all this (`moderation/duty/duty.py`).
"""

from collections.abc import Mapping, Sequence

from bot.config.zones import near_zones
from moderation.duty.absence import Left, left_by
from moderation.duty.duty import Duty, on_duty
from moderation.duty.hours import next_start, parse_hours
from moderation.duty.responsibility import require, role
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell, TellDesk
from moderation.model.facts import AwayChanged, DutyAccepted, RosterChanged
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, Moment, RoomName, Span, Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .rights import may_read_here, must_manage

MAX_ROOMS = 20  # in one answer
MAX_NAMES = 50
OFF = ("off", "none", "关闭", "取消")
YES = ("yes", "接受")


# Being away.


async def away(call: Call) -> Reply:
    """Take the caller off duty everywhere for a time. Cases they were asked for before stay theirs."""
    rooms = await queries.answers_for(call.db, call.caller)
    if not rooms:
        raise Refused("error.away.nothing")
    most = call.policy.duty.away_at_most
    until = call.now_ms + (call.given.duration_ms or 0)
    if until - call.now_ms > most:
        raise Refused("error.away.long", most=Span(most))
    left = await _left(call, rooms, until)
    asked = await queries.waiting_for(call.db, call.caller)
    here = [room for room in left if call.here.purpose != "desk" or await may_read_here(call, room)]
    elsewhere = [room for room in left if room not in here]
    lines = [
        line("away.until", until=Moment(until)),
        *(_gaps(call, left, here) or ([] if elsewhere else [line("away.covered")])),
        *(_kept(asked, here) or ([] if elsewhere else [line("away.keeps-none")])),
    ]
    told = await _tell_away(call, until, left)
    if more := [*_gaps(call, left, elsewhere), *_kept(asked, elsewhere)]:  # others in this desk may not know of these
        told += (Tell(room=call.here.room, subject=call.caller, lines=tuple(more), alone=True),)
    fact = AwayChanged(on=call.on, what="away", until=until, subject=call.caller)
    return Reply(tuple(lines), (fact,), told, private=True)


async def back(call: Call) -> Reply:
    """Put the caller on duty again, everywhere."""
    if call.caller not in await queries.away_now(call.db, call.now_ms):
        raise Refused("error.away.not")
    said = line("desk.back", who=Who(call.caller))
    rooms = await queries.answers_for(call.db, call.caller)
    fact = AwayChanged(on=call.on, what="back", subject=call.caller)
    told = tuple([each for room in rooms for each in await _tell_desk(call, room, said)])
    return Reply((line("away.back"),), (fact,), told, private=True)


async def _left(call: Call, rooms: Sequence[RoomId], until: int) -> dict[RoomId, tuple[Left, Duty]]:
    """Return who remains on duty in each room."""
    gone = await queries.away_now(call.db, call.now_ms)
    found: dict[RoomId, tuple[Left, Duty]] = {}
    for room in rooms:
        view = await call.setup.knowledge.room(call.db, room)
        if view is not None:
            duty = await queries.duty_of(call.db, view, call.policy.operators, call.now_ms)
            found[room] = (left_by(duty, call.caller, call.now_ms, until, gone), duty)
    return found


def _gaps(call: Call, left: Mapping[RoomId, tuple[Left, Duty]], rooms: Sequence[RoomId]) -> list[Line]:
    """Return what is said of those of these rooms that have nobody on duty."""
    lines = [said for room in rooms if (said := _gap(call, room, *left[room])) is not None]
    more = [line("away.more", count=len(lines) - MAX_ROOMS)] if len(lines) > MAX_ROOMS else []
    return [*lines[:MAX_ROOMS], *more]


def _gap(call: Call, room: RoomId, left: Left, duty: Duty) -> Line | None:
    if left.who == "managers":
        return None
    if left.who == "owner":
        return line("away.owner", room=RoomName(room), who=Who(left.people[0]))
    if not duty.owners:
        return line("away.no-owner", room=RoomName(room), since=Moment(left.since))
    cost = call.policy.standing.nobody_on_duty
    return line("away.nobody", room=RoomName(room), since=Moment(left.since), cost=cost)


def _kept(asked: Mapping[RoomId, Sequence[int]], rooms: Sequence[RoomId]) -> list[Line]:
    """List the cases of these rooms that the caller was asked for before."""
    cases = sorted(n for room in rooms for n in asked.get(room, ()))
    return [line("away.keeps", cases=", ".join(map(str, cases)))] if cases else []


async def _tell_away(call: Call, until: int, left: Mapping[RoomId, tuple[Left, Duty]]) -> tuple[Action, ...]:
    said = [line("desk.away", who=Who(call.caller), until=Moment(until))]
    if call.given.reason:
        said.append(line("notice.reason", reason=call.given.reason))
    told: list[Action] = []
    for room, (what, duty) in left.items():
        gap = _gap(call, room, what, duty)
        told += await _tell_desk(call, room, *said, *((gap,) if gap else ()))
    return tuple(told)


async def _tell_desk(call: Call, room: RoomId, *lines: Line) -> tuple[TellDesk, ...]:
    """Tell the desk of a room, unless it was said there."""
    said_there = call.here.purpose == "desk" and await may_read_here(call, room)
    return () if said_there else (TellDesk(room=room, lines=lines),)


# The roster.


async def duty(call: Call) -> Reply:
    """Show who is on duty now, who is away, and the roster; or, given hours, change the roster."""
    if call.given.user is None and call.given.reason.lower() in YES:
        return await _accept(call)
    if call.given.reason:
        return await _change(call)
    now = await queries.duty_of(call.db, call.group, call.policy.operators, call.now_ms)
    gone = await queries.away_now(call.db, call.now_ms)
    lines = [
        line("duty.head", room=RoomName(call.group.room)),
        *_present(call, now),
        *(line("duty.away", who=Who(user), until=Moment(gone[user])) for user in _runs(now) if user in gone),
        *(line("duty.offered", who=Who(user)) for user in _runs(now)[:MAX_NAMES] if user in now.offered),
        *_roster(now.roster, now),
    ]
    return Reply(tuple(lines))


async def _accept(call: Call) -> Reply:
    """Take on the duty in a room, as a manager who was in its desk before the room was."""
    await must_manage(call, call.group)
    if role(call.caller, call.group) == "member":  # an operator
        raise Refused("error.right.manager", room=call.group.room)
    fact = DutyAccepted(room=call.group.room, on=call.on, subject=call.caller)
    return Reply((line("duty.accepted", room=RoomName(call.group.room)),), (fact,))


def _present(call: Call, now: Duty) -> list[Line]:
    people = on_duty(now, call.now_ms)
    if not people:
        return [line("duty.nobody"), *_next(call, now)]
    if any(user in now.managers or user in now.roster for user in people):
        return [line("duty.on", who=Who(user)) for user in people[:MAX_NAMES]]
    return [*(line("duty.owner", who=Who(user)) for user in people[:MAX_NAMES]), *_next(call, now)]


def _next(call: Call, now: Duty) -> list[Line]:
    """Say who comes on duty next by the roster."""
    coming = [
        (start, user)
        for user in _runs(now)
        if user in now.roster and user not in now.away and (start := next_start(now.roster[user], call.now_ms))
    ]
    return [line("duty.next", who=Who(user), since=Moment(start)) for start, user in sorted(coming)[:1]]


def _roster(roster: Mapping[UserId, str], now: Duty) -> list[Line]:
    """Show the roster of a room. `now` says who runs the room."""
    if not roster:
        return [line("duty.no-roster")]
    runs = _runs(now)
    return [
        *(line("duty.hours", who=Who(user), hours=roster[user]) for user in sorted(roster)[:MAX_NAMES] if user in runs),
        *(line("duty.not-in", who=Who(user)) for user in now.managers[:MAX_NAMES] if user not in roster),
        *(line("duty.gone", who=Who(user)) for user in sorted(roster)[:MAX_NAMES] if user not in runs),
    ]


def _runs(now: Duty) -> tuple[UserId, ...]:
    return (*now.managers, *now.owners)


async def _change(call: Call) -> Reply:
    """Write a person's hours into the roster, or take them out."""
    require("roster", call.caller, call.group, call.policy)
    target, room = call.given.user, call.group.room
    if target is None:
        raise Refused("error.missing.user")
    now = await queries.duty_of(call.db, call.group, call.policy.operators, call.now_ms)
    off = call.given.reason.lower() in OFF
    if off and target not in now.roster:
        raise Refused("error.roster.not-in", who=target, room=room)
    if not off and target not in _runs(now):
        raise Refused("error.roster.member", who=target, room=room)
    hours = "" if off else _hours(call)
    said = line("roster.off", who=Who(target)) if off else line("roster.set", who=Who(target), hours=hours)
    roster = {user: when for user, when in {**now.roster, target: hours}.items() if when}
    if roster == now.roster:
        return Reply((said, *_roster(roster, now)))
    fact = RosterChanged(room=room, on=call.on, subject=target, hours=hours, by=call.caller)
    return Reply((said, *_roster(roster, now)), (fact,), await _tell_roster(call, target, hours))


def _hours(call: Call) -> str:
    try:
        return parse_hours(call.given.reason, call.setup.zone)
    except Refused as refused:
        given = str(refused.fields["given"])
        near = near_zones(given) if refused.key == "error.hours.zone" else ()
        if not near:
            raise
        raise Refused("error.hours.zone-near", given=given, near=Code(", ".join(near))) from None


async def _tell_roster(call: Call, target: UserId, hours: str) -> tuple[Action, ...]:
    who, by = Who(target), Who(call.caller)
    said = line("desk.roster", who=who, by=by, hours=hours) if hours else line("desk.roster-off", who=who, by=by)
    return await _tell_desk(call, call.group.room, said)


SUBJECT = "duty"
COMMANDS = (
    Command(
        "duty", "everyone", "user? reason*", duty, aliases=("roster", "值班"), inside=True, wording=("error.hours",)
    ),
    Command("away", "manager", "duration reason*", away, aliases=("离开", "请假"), anywhere=True, first=True),
    Command("back", "manager", "", back, aliases=("回来", "销假"), anywhere=True),
)
