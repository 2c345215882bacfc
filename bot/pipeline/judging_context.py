"""The material for judging an event: the event with what it claims to quote, the context, and the rules of its room.

The same is read while the bot runs and when records are judged again (`judge_again.py`).

Rules kept here:
- Nothing is asked of the database that the rules do not ask for.
- What is counted along (times of messages, messages that stand) is noted in the order of the records.

Left to others: what is cached (`view_cache.py`), what follows (`moderation/judge/judge.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from moderation.judge.judge import CompiledRule, is_removed
from moderation.judge.newcomers import held_in
from moderation.judge.room_rules import compiled
from moderation.judge.withheld import Withholdable
from moderation.model.context import Context, RoomView
from moderation.model.facts import Fact, KnownOfFile
from moderation.rooms.slow_mode import is_held_back, pace, was_told
from moderation.rules.check import Counted
from moderation.rules.unless import MOST_MESSAGES
from moderation.values.events import (
    Event,
    FileSeen,
    MembershipChanged,
    MessagePosted,
    ReactionGiven,
    Received,
    Unreadable,
)
from storage import queries

from .file_seen import file_seen
from .message_text import Records
from .quotations import with_false_quotations
from .unit_of_work import PipelineSettings, UnitOfWork
from .view_cache import ViewCache


@dataclass(frozen=True, slots=True)
class ToJudge:
    """An event and what it is judged by."""

    event: Received | FileSeen
    context: Context
    rules: Sequence[CompiledRule]


class JudgingContexts:
    """The contexts of events, each inside its unit of work."""

    def __init__(self, knowledge: ViewCache, settings: PipelineSettings, records: Records) -> None:
        self._knowledge = knowledge
        self._settings = settings
        self._records = records

    async def count(self, unit: UnitOfWork, event: Event) -> None:
        """Count an event towards a flood."""
        if event.sender == self._settings.bot:
            return
        self._knowledge.on_the_way.arrived(event.event)
        if isinstance(event, MessagePosted) and event.late < 0:
            await self._knowledge.posted(unit.db, event.room, event.sender, event.counted_ms)
        elif what := counted_as(event):
            self._knowledge.did(event.room, event.sender, event.counted_ms, what)

    async def of(self, unit: UnitOfWork, index: int, event: Received, room: RoomView) -> ToJudge:
        """Return what the event recorded at `index` is judged by."""
        assert not isinstance(event, Unreadable)
        context = await self._knowledge.context(unit.db, room, event.sender, event.received_ms)
        if event.late >= 0:  # late keys come many at once: that is no flood
            context = replace(context, recent_ms=(), recent_others=())
        return await self._of(unit, index, event, await self._paced(unit, event, context))

    async def of_withheld(self, unit: UnitOfWork, index: int, event: Withholdable, room: RoomView) -> ToJudge:
        """Return what an event is judged by that was refused before its delivery, as recorded at `index`.

        It is no event of its room, so it counts towards nothing.
        """
        context = await self._knowledge.context(unit.db, room, event.sender, event.received_ms)
        return await self._of(unit, index, event, replace(context, beforehand=True, recent_ms=(), recent_others=()))

    async def of_waiting(self, unit: UnitOfWork, event: Received, room: RoomView) -> ToJudge:
        """Return what an event is judged by that is not in its room yet.

        It counts towards floods and paces as if it were; so do those that were let through and have not arrived.
        """
        assert not isinstance(event, Unreadable)
        user, now = event.sender, event.received_ms
        context = await self._knowledge.context(unit.db, room, user, now)
        times = await self._knowledge.posted_lately(unit.db, room.room, user, now)
        context = await self._paced(unit, event, replace(context, recent_ms=times))
        return await self._of(unit, unit.next_index, event, self._with_waiting(event, context))

    def at_hand(self, event: Received) -> ToJudge | None:
        """Return what `of_waiting` does, if the database need not be asked for it. It may be asked for at any time."""
        if isinstance(event, Unreadable):
            return None
        due = self._known(event, self._knowledge.at_hand(event.room, event.sender, event.received_ms))
        return None if due is None else replace(due, context=self._with_waiting(event, due.context))

    def uncounted(self, event: Received) -> ToJudge | None:
        """Return what an event is judged by, without its times, if the database need not be asked for it.

        The caller adds the times that count.
        """
        if isinstance(event, Unreadable):
            return None
        return self._known(event, self._knowledge.known(event.room, event.sender, event.received_ms))

    def _known(self, event: Received, context: Context | None) -> ToJudge | None:
        """Return what an event is judged by in a context that is known; None if more has to be read."""
        if context is None or isinstance(event, Unreadable) or (isinstance(event, MessagePosted) and event.quoted):
            return None
        if pace(context, self._settings.policy) is not None:
            return None
        rules = self._rules(context.room)
        said = self._knowledge.standing.at_hand(event.room, event.sender)
        if said is None and self._asks_what_stands(context.room, rules):
            return None
        words = self._settings.content == "full"
        return ToJudge(event, replace(context, said=said or 0, keeps_words=words), rules)

    def _with_waiting(self, event: Event, context: Context) -> Context:
        """Return the context with this event, and those that were let through, among those that count."""
        now = event.received_ms
        waiting = self._knowledge.on_the_way.of(event.room, event.sender, now)
        said = [at_ms for at_ms, what in waiting if what is None]
        before = [*context.recent_ms, *said]
        others = [*context.recent_others, *((at_ms, what) for at_ms, what in waiting if what is not None)]
        if isinstance(event, MessagePosted):
            before.append(now)
            context = replace(context, stood=max((each for each in (context.stood, *said) if each), default=None))
        elif what := counted_as(event):
            others.append((now, what))
        words = self._settings.content == "full"
        recent, more = tuple(sorted(before)), tuple(sorted(others))
        return replace(context, recent_ms=recent, recent_others=more, keeps_words=words)

    async def _of(self, unit: UnitOfWork, index: int, event: Received, context: Context) -> ToJudge:
        room = context.room
        context = replace(context, keeps_words=self._settings.content == "full")
        rules = self._rules(room)
        if self._asks_what_stands(room, rules):
            context = replace(context, said=await self._knowledge.standing.before(unit, event, index))
        if isinstance(event, MessagePosted) and event.quoted:
            await unit.flush()
            event = await with_false_quotations(unit.db, event, self._records)
        return ToJudge(event, context, rules)

    def _rules(self, room: RoomView) -> tuple[CompiledRule, ...]:
        return (*self._settings.rules, *compiled(room.rules, self._settings.policy))

    def _asks_what_stands(self, room: RoomView, rules: Sequence[CompiledRule]) -> bool:
        return bool(held_in(room, self._settings.policy)) or any(rule.settings.unless.messages for rule in rules)

    async def of_file(self, unit: UnitOfWork, kept: KnownOfFile, room: RoomView, now_ms: int) -> ToJudge | None:
        """Return what is to be judged of a file; None if nothing is known of it."""
        await unit.flush()
        seen = await file_seen(unit.db, kept, now_ms, self._records)
        if seen is None:
            return None
        context = await self._knowledge.context(unit.db, room, seen.sender, now_ms)
        context = replace(context, keeps_words=self._settings.content == "full")
        if any(rule.settings.OF_FILES and rule.settings.unless.messages for rule in self._settings.rules):
            said = await queries.messages_standing(unit.db, room.room, seen.sender, seen.message, MOST_MESSAGES)
            context = replace(context, said=said)
        return ToJudge(seen, context, self._settings.rules)

    def judged(self, event: Received | FileSeen, facts: Sequence[Fact]) -> None:
        """Note what became of an event by the facts that follow from it."""
        if not isinstance(event, MessagePosted):
            return
        if event.late < 0 and not is_held_back(facts):
            self._knowledge.stands(event)
        if not is_removed(facts):
            self._knowledge.standing.add(event)

    async def _paced(self, unit: UnitOfWork, event: Received, context: Context) -> Context:
        """Return the context with when the sender wrote last, if slow mode holds for them.

        Messages whose keys came late are left out: keys come many at once, and that is no haste of the sender.
        """
        limit = pace(context, self._settings.policy)
        if not isinstance(event, MessagePosted) or event.late >= 0 or limit is None:
            return context
        await unit.flush()
        stood = await self._knowledge.stood(unit.db, event)
        if was_told(limit.rule, context):
            return replace(context, stood=stood)
        held_back = await queries.held_back(unit.db, context.subject, event, limit.rule)
        return replace(context, stood=stood, held_back=held_back)


def counted_as(event: Event) -> Counted | None:
    """Return how an event counts towards a flood: as a reaction, or as somebody's own join or new name."""
    if isinstance(event, ReactionGiven):
        return "reactions"
    own = isinstance(event, MembershipChanged) and event.membership == "join" and event.user == event.sender
    return "joins" if own else None
