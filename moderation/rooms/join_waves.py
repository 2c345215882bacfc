"""Waves: many people who come into a room at once. docs/model.md, "Waves of people".

Rules kept here:
- People count who came in, or were invited by somebody who does not run the room. People who are verified, run the
  room, or were invited by those who do, do not count; nor do people whom an upgrade of the room brought along.
- People who were first seen in the room long enough ago do not count, so that old members whose bridge comes back are
  no wave. People who were removed from the room lately (`SHUNNED_MS`) are strangers all the same.
- An account counts once, however often it comes and goes.
- What was read after an absence counts for the time at which it was sent. A wave that was over before is none.
- Nobody can keep a room shut with waves: it is gated or closed by itself a few times in a day and no longer than said,
  then people are only told. While a measure keeps people out, and while the last wave counts, there is no other.
- Removed are those of the wave, and those who come in behind them, of whom no message stands: spam that was removed
  buys nobody a place. Each has a case; it costs nothing.

Pure. Left to others: who came (`bot/pipeline/join_waves.py`), the join rule (`align_room.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from moderation.duty.responsibility import can_be_removed, is_operator
from moderation.model.builtin_rules import IN_WAVE
from moderation.model.context import Context, InForce, RoomView
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionKind, WaveNoticed
from moderation.model.new_facts import decided_case, sanction_here
from moderation.policy import JoinSettings, Policy, WaveMeasure
from moderation.rules.unless import Unless
from moderation.values.durations import DAY_MS
from moderation.values.ids import EventId, UserId

from .align_room import GATES
from .measures import begin_by_rule

SHUNNED_MS = 30 * DAY_MS
MEASURES: tuple[WaveMeasure, ...] = get_args(WaveMeasure)
SHUTS = GATES | {"close"}


@dataclass(frozen=True, slots=True)
class Coming:
    """Somebody who came into a room, or was invited there."""

    user: UserId
    at_ms: int
    by: UserId  # who invited them; else themselves
    event: EventId


def measure_in(room: RoomView, policy: Policy) -> WaveMeasure | None:
    """Return what follows a wave in a room: the stricter of what operator and owner say; None: nothing."""
    settings = policy.joins
    if not settings.counts:
        return None
    operators = settings.do if room.is_among(settings.rooms) else None
    return max(filter(None, (operators, room.choices.joins)), key=MEASURES.index, default=None)


def looks_back(settings: JoinSettings) -> int:
    """Return how far back people are counted, in milliseconds."""
    return max(settings.within, settings.slow_within if settings.slow_wave else 0)


def wave_of(comings: Iterable[Coming], now_ms: int, settings: JoinSettings) -> tuple[tuple[Coming, ...], int]:
    """Return who belongs to a wave at this moment, and within which time they came; nobody: there is no wave."""
    there = tuple(comings)
    for many, within in ((settings.wave, settings.within), (settings.slow_wave, settings.slow_within)):
        recent = tuple(each for each in there if 0 <= now_ms - each.at_ms < within)
        if 0 < many <= len(recent):
            return recent, within
    return (), 0


def is_invited(coming: Coming, room: RoomView, bot: UserId, policy: Policy) -> bool:
    """Return whether somebody was invited by the bot, an operator, or somebody who runs the room."""
    if coming.by == coming.user:
        return False
    return coming.by == bot or is_operator(coming.by, policy) or room.power.role(coming.by) != "member"


def does_not_count(context: Context, level: int, policy: Policy) -> bool:
    """Return whether `context.subject` is no stranger: they run the room, are an operator, or verified at `level`."""
    user, room = context.subject.user, context.room
    if user == context.bot or is_operator(user, policy) or room.power.role(user) != "member":
        return True
    return 0 < policy.joins.spare_verified <= level


def spares(settings: JoinSettings, *, removed: bool) -> Unless:
    """Return whom the settings spare. Time in the room spares nobody who was `removed` from it lately."""
    return settings.unless.model_copy(update={"in_room_for": None}) if removed else settings.unless


def shutting(in_force: Iterable[InForce]) -> InForce | None:
    """Return the measure that keeps people out of a room now, one because of a wave first."""
    there = [each for each in in_force if each.kind in SHUTS]
    return next((each for each in there if each.basis == "rule"), there[0] if there else None)


def facts_of_wave(
    room: RoomView, *, count: int, within: int, shut_today: int, n: int, now_ms: int, policy: Policy, on: int
) -> tuple[WaveNoticed, *tuple[Fact, ...]]:
    """Return what follows from a wave of `count` people; `shut_today`: how often that shut the room within a day."""
    settings, do = policy.joins, measure_in(room, policy)
    assert do is not None
    limited = do != "tell" and shut_today >= settings.a_day
    if limited or do == "tell" or room.condition != "protected":
        return (WaveNoticed(room=room.room, on=on, count=count, within=within, do="tell", limited=int(limited)),)
    kind: SanctionKind = "close" if do == "close" else "gate"
    until = now_ms + settings.lasts
    noticed = WaveNoticed(room=room.room, on=on, count=count, within=within, do=do, until=until, n=n)
    return (noticed, *begin_by_rule(kind, room, n=n, until=until, on=on))


def facts_of_removal(people: Sequence[tuple[Context, EventId]], *, n: int, policy: Policy, on: int) -> tuple[Fact, ...]:
    """Return the removal of these people, who came by these events, as far as the bot can.

    New cases have the numbers from `n`. Somebody who comes back within one incident gets no further case.
    """
    removed: list[Fact] = []
    for context, event in people:
        if can_be_removed(context, policy):
            opened = _case_of_removal(context, event, n, policy, on)
            n += isinstance(opened, CaseOpened)
            removed += (opened, sanction_here(context, "kick", "rule", n=opened.n, rule=IN_WAVE, on=on))
    return tuple(removed)


def _case_of_removal(context: Context, event: EventId, n: int, policy: Policy, on: int) -> CaseOpened | CaseGrew:
    room, user = context.room.room, context.subject.user
    known = context.subject.recent_cases.get((room, IN_WAVE))
    if known is not None and context.now_ms - known.opened <= policy.credit.incident_window:
        return CaseGrew(room=room, on=on, n=known.n, subject=user, event=event)
    return decided_case(IN_WAVE, room, n, user, on=on, due=context.now_ms, event=event)
