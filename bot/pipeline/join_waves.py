"""The detection of waves: many people who come into a room at once.

Left to others: what a wave is, and what follows (`moderation/rooms/join_waves.py`); who came (`comings.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.spared import is_spared
from moderation.model.context import RoomView
from moderation.model.facts import CaseOpened, Fact, SanctionStarted
from moderation.people.verification import asked_of, level_reached
from moderation.policy import Policy
from moderation.rooms.join_waves import (
    SHUNNED_MS,
    Coming,
    does_not_count,
    facts_of_removal,
    facts_of_wave,
    is_invited,
    looks_back,
    measure_in,
    shutting,
    spares,
    wave_of,
)
from moderation.values.durations import DAY_MS
from moderation.values.events import MembershipChanged
from moderation.values.ids import UserId
from storage import queries
from storage.projections.upgraded_rooms import MOVED

from .unit_of_work import UnitOfWork
from .view_cache import ViewCache

NEWEST = 2**62  # beyond every record


class JoinWaves:
    """The answers to people who come into a group."""

    def __init__(self, knowledge: ViewCache, bot: UserId, policy: Policy) -> None:
        self._knowledge = knowledge
        self._bot = bot
        self._policy = policy

    def looks_at(self, event: MembershipChanged, room: RoomView) -> bool:
        """Return whether somebody comes by this event who may belong to a wave."""
        return event.membership in ("join", "invite") and measure_in(room, self._policy) is not None

    async def follow(
        self, unit: UnitOfWork, index: int, event: MembershipChanged, room: RoomView, *, was: str, n: int
    ) -> tuple[Fact, ...]:
        """Return what follows if somebody comes in or is invited.

        `was`: their membership before; `n`: the number for a new case.
        """
        if was in ("join", MOVED) or was == event.membership:
            return ()
        await unit.flush()
        coming = await self._knowledge.comings.note(unit.db, event, was_invited=was == "invite")
        settings, now = self._policy.joins, event.received_ms
        if is_invited(coming, room, self._bot, self._policy) or now - coming.at_ms >= looks_back(settings):
            return ()
        if (shut := shutting(await queries.measures_of_room(unit.db, room.room))) is not None:
            behind = shut.basis == "rule" and event.membership == "join"
            return await self._removed(unit.db, [coming], room, now, n=n, on=index) if behind else ()
        wave, within = await self._wave(unit.db, coming, room, now)
        if not wave:
            return ()
        noticed, *measure = facts_of_wave(
            room,
            count=len(wave),
            within=within,
            shut_today=await queries.shut_by_waves(unit.db, room.room, now - DAY_MS),
            n=n,
            now_ms=now,
            policy=self._policy,
            on=index,
        )
        n += sum(isinstance(fact, CaseOpened) for fact in measure)
        removed = await self._removed(unit.db, wave, room, now, n=n, on=index) if measure else ()
        count = sum(isinstance(fact, SanctionStarted) for fact in removed)
        return (replace(noticed, removed=count), *measure, *removed)

    async def _wave(
        self, db: AsyncConnection, last: Coming, room: RoomView, now_ms: int
    ) -> tuple[Sequence[Coming], int]:
        """Return the strangers of a wave that `last` completes, and the time in which they came; none if it is told."""
        settings, told = self._policy.joins, await queries.last_wave(db, room.room)
        found, _ = wave_of(self._knowledge.comings.of(room.room), last.at_ms, settings)
        if not found or (told is not None and now_ms - told < settings.lasts):
            return (), 0
        return wave_of(
            [each for each in found if await self._is_stranger(db, each, room, now_ms)], last.at_ms, settings
        )

    async def _is_stranger(self, db: AsyncConnection, coming: Coming, room: RoomView, now_ms: int) -> bool:
        invited = is_invited(coming, room, self._bot, self._policy)
        return not (invited or await self.is_known(db, coming.user, room, now_ms))

    async def is_known(self, db: AsyncConnection, user: UserId, room: RoomView, now_ms: int) -> bool:
        """Return whether somebody is no stranger to a room."""
        context, unless = await self._knowledge.context(db, room, user, now_ms), self._policy.joins.unless
        if unless.messages:
            said = await queries.messages_standing(db, room.room, user, NEWEST, unless.messages)
            context = replace(context, said=said)
        removed = unless.in_room_for is not None and await queries.removed_lately(
            db, room.room, context.subject.person, now_ms - SHUNNED_MS
        )
        level = level_reached(context.subject.proofs, asked_of(room, self._policy).methods, room, now_ms)
        spared = spares(self._policy.joins, removed=removed)
        return does_not_count(context, level, self._policy) or is_spared(spared, context, self._policy)

    async def _removed(
        self, db: AsyncConnection, wave: Sequence[Coming], room: RoomView, now_ms: int, *, n: int, on: int
    ) -> tuple[Fact, ...]:
        """Return the removal of the strangers of a wave of whom no message stands, if the settings ask for it."""
        if self._policy.joins.undo != "kick":
            return ()
        spoke = await queries.who_stands(db, room.room, [each.user for each in wave])
        silent = [each for each in wave if each.user not in spoke and await self._is_stranger(db, each, room, now_ms)]
        people = [(await self._knowledge.context(db, room, each.user, now_ms), each.event) for each in silent]
        return facts_of_removal(people, n=n, policy=self._policy, on=on)
