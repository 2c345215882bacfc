"""readonly, slow, lockdown, close, reopen: measures of managers and owners for the whole room.

Rules kept here:
- The room learns of it by one notice. So a command said in the room itself gets no other answer, and is redacted.
- Managers and owners cannot end what the operator imposed or what neglect brought.

Left to others: what follows (`moderation/rooms/measures.py`), what it means for the room's levels
(`moderation/rooms/align_room.py`) or for what is written there (`moderation/rooms/slow_mode.py`).
"""

from dataclasses import replace

from bot.texts import measure_lines
from moderation.duty.responsibility import Deed, is_operator, may
from moderation.model.context import RoomView
from moderation.model.facts import REOPENED, CaseOpened, Fact, SanctionEnded, SanctionKind, SanctionStarted
from moderation.rooms import measures as room_measures
from moderation.rooms.slow_mode import LEAST_MS, MOST_MS
from moderation.values.durations import HOUR_MS, parse_duration
from moderation.values.errors import Refused
from moderation.values.notices import Line, Moment, RoomName, Span, line
from storage import queries

from . import everywhere
from .invocation import Call, Command, Reply
from .parse import EVERYWHERE

OFF = ("off", "none", "关", "关闭", "取消")
LOCKDOWN_UNLESS_SAID = HOUR_MS


async def readonly(call: Call) -> Reply:
    """Let only managers post for a time; or (`readonly off`) everybody again."""
    if _is_off(call):
        facts = await _lifted(call, ("suspend",), "readonly", "error.not-suspended")
        return noticed(call, facts, line("done.readonly-off", room=RoomName(call.group.room)))
    if call.given.duration_ms is None:
        raise Refused("error.missing.duration")
    until = call.now_ms + call.given.duration_ms
    facts = await _ordered(call, "suspend", until)
    return noticed(call, facts, line("done.readonly", room=RoomName(call.group.room), until=Moment(until)))


async def lockdown(call: Call) -> Reply:
    """Let only managers post and nobody come in uninvited, for a time; or (`lockdown off`) end it."""
    off = _is_off(call)
    if off and call.given.reason.partition(" ")[2].lower() in EVERYWHERE:
        call = replace(call, given=replace(call.given, everywhere=True))
    call = await everywhere.confirmed(call)
    until = call.now_ms + (call.given.duration_ms or LOCKDOWN_UNLESS_SAID)
    facts: list[Fact] = []
    refused: list[Refused] = []
    for room in await _rooms_to_lock(call):
        there, cases = replace(call, group=room), sum(isinstance(fact, CaseOpened) for fact in facts)
        try:
            facts += await (_unlocked(there) if off else _ordered(there, "lockdown", until, cases=cases))
        except Refused as error:
            refused.append(error)
    if not facts:
        raise refused[0]
    done = line("done.lockdown-off" if off else "done.lockdown", room=RoomName(call.group.room), until=Moment(until))
    rooms = dict.fromkeys(fact.home for fact in facts if isinstance(fact, SanctionStarted | SanctionEnded))
    return await everywhere.answer(call, tuple(rooms), noticed(call, tuple(facts), done))


async def _rooms_to_lock(call: Call) -> list[RoomView]:
    """Return the room of the call, and with `everywhere` those of its community in which the caller has the right."""
    others = [each for each in await everywhere.rooms_meant(call) if each.condition == "protected"]
    if not is_operator(call.caller, call.policy):
        others = [each for each in others if each.community == call.group.community]
    return [call.group, *(each for each in others if may("lockdown", call.caller, each, call.policy))]


async def _unlocked(call: Call) -> tuple[Fact, ...]:
    return await _lifted(call, ("lockdown", "gate"), "lockdown", "error.not-locked-down")


def _is_off(call: Call) -> bool:
    first, _, _ = call.given.reason.partition(" ")
    return call.given.duration_ms is None and first.lower() in OFF


async def slow(call: Call) -> Reply:
    """Limit members to one message per interval; or (`slow off`) lift the limit."""
    if call.given.word.lower() in OFF:
        facts = await _lifted(call, ("slow",), "slow", "error.not-slow")
        return noticed(call, facts, line("done.slow-off", room=RoomName(call.group.room)))
    every = _every(call.given.word)
    until = call.now_ms + call.given.duration_ms if call.given.duration_ms is not None else 0
    facts = await _ordered(call, "slow", until, every)
    where, pace = RoomName(call.group.room), Span(every)
    if not until:
        return noticed(call, facts, line("done.slow", room=where, every=pace))
    return noticed(call, facts, line("done.slow-until", room=where, every=pace, until=Moment(until)))


def _every(word: str) -> int:
    """Return the interval of slow mode, in milliseconds."""
    if not word:
        raise Refused("error.pace.missing")
    try:
        every = parse_duration(word)
    except ValueError:
        raise Refused("error.pace.form", given=word[:60]) from None
    if not LEAST_MS <= every <= MOST_MS:
        raise Refused("error.pace.limits", least=Span(LEAST_MS), most=Span(MOST_MS))
    return every


async def close(call: Call) -> Reply:
    """Let nobody post or join until the room is opened again."""
    facts = await _ordered(call, "close", 0)
    return noticed(call, facts, line("done.close", room=RoomName(call.group.room)))


async def reopen(call: Call) -> Reply:
    """End what owners and managers ordered; an operator ends every measure that holds."""
    facts = await _lifted(call, tuple(sorted(REOPENED)), "reopen", "error.not-closed")
    ended = {getattr(fact, "start", -1) for fact in facts}
    left = [each for each in await queries.measures_of_room(call.db, call.group.room) if each.record not in ended]
    return noticed(call, facts, line("done.reopen", room=RoomName(call.group.room)), *measure_lines.in_force(left))


async def _ordered(call: Call, kind: SanctionKind, until: int, every: int = 0, *, cases: int = 0) -> tuple[Fact, ...]:
    """Return the order of a measure; `cases`: how many cases the same command opened before."""
    duty = await queries.duty_of(call.db, call.group, call.policy.operators, call.now_ms)
    return room_measures.order(
        kind,
        by=call.caller,
        room=call.group,
        in_force=await queries.measures_of_room(call.db, call.group.room),
        owner=room_measures.answers_for(duty, call.caller),
        n=call.setup.knowledge.next_case + cases,
        until=until,
        reason=call.given.reason,
        policy=call.policy,
        on=call.on,
        every=every,
    )


async def _lifted(call: Call, kinds: tuple[SanctionKind, ...], deed: Deed, otherwise: str) -> tuple[Fact, ...]:
    facts = room_measures.lift(
        kinds,
        by=call.caller,
        room=call.group,
        in_force=await queries.measures_of_room(call.db, call.group.room),
        policy=call.policy,
        on=call.on,
        deed=deed,
    )
    if not facts:
        raise Refused(otherwise)
    return facts


def noticed(call: Call, facts: tuple[Fact, ...], *lines: Line) -> Reply:
    """Return the answer to an order that the room learns of by a notice: in the room itself there is no other."""
    if call.here.room == call.group.room:
        return Reply((), facts, call.gone())
    return Reply(lines, facts)


SUBJECT = "room"
COMMANDS = (
    Command("readonly", "manager", "duration? reason*", readonly, deed="readonly"),
    Command("slow", "manager", "word? duration? reason*", slow, wording=("error.pace",), deed="slow"),
    Command("lockdown", "manager", "duration? everywhere? reason*", lockdown, deed="lockdown"),
    Command("close", "manager", "reason*", close, deed="close"),
    Command("reopen", "manager", "", reopen, deed="reopen"),
)
