"""The judgement of an event that somebody asks about, by the tables as they are now.

Rules kept here:
- It is the judgement of the bot (`moderation/judge/beforehand.py`), with the same context, which may be seconds old.
- What cannot be judged in time is let through (`NOT_JUDGED`): the bot judges it after delivery.
- Nobody is refused by what was known a moment ago: before that, everything is read again.
- Nothing is held against somebody who is not in the room, as far as is known after everything was read again: what they
  send is refused, and any server can send an event in the name of its own people.
- What the bot has recorded was delivered, and is let through: homeservers that catch up ask about a room's past.
- The time of an event is what its sender's server claims, so it spares nothing. What breaks a rule and claims to be
  older than the owner's wish that the policy server be asked is refused, but held against nobody (`is_past`).
- A quotation in front of a reply is not looked at: whether it is true stands in the records, which are not read here.

Left to others: keeping the answer, proving who sent the event (`answering.py`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.config import Config
from bot.events.parse_event import receive
from bot.federation.pdu import Pdu
from bot.pipeline.judging_context import JudgingContexts, ToJudge, counted_as
from bot.pipeline.message_text import NoRecords
from bot.pipeline.unit_of_work import PipelineSettings, UnitOfWork
from bot.pipeline.view_cache import ViewCache
from bot.runtime.clock import Clock
from moderation.judge.beforehand import Refusal, refused_beforehand
from moderation.judge.judge import CompiledRule
from moderation.policy import Measure
from moderation.rules.base import LONGEST_OWN_MS
from moderation.values.events import Event, FileSeen, Json, MessagePosted, Received, Unreadable
from moderation.values.ids import SAFE_INT
from storage import queries

from .bot_tables import READ_ERRORS, BotTables, RoomThatAsks
from .counts import CountedEvent, LetThrough

OLD_MS = 60_000  # what claims to be older is of a server that catches up
_AFTER_ALL = SAFE_INT  # an index behind all records

LetBecause = Literal["judged", "delivered", "unwanted", "unreadable", "not_judged"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer to a question. `refusal` is None if the event is let through; `because` says why."""

    refusal: Refusal | None
    because: LetBecause
    event: Received | None = None
    is_past: bool = False  # it claims to be older than the wish that the policy server be asked
    is_there: bool = True  # its sender is in the room
    language: str = ""  # of the room
    rules: Sequence[CompiledRule] = ()
    counted: CountedEvent | None = None  # if it is let through, and counts towards a flood

    def take_back(self) -> None:
        """Count the event no longer: it was not let through after all."""
        if self.counted is not None:
            self.counted.take_back()


class BeforehandJudge:
    """The judge of one deployment."""

    def __init__(self, config: Config, tables: BotTables, knowledge: ViewCache, clock: Clock) -> None:
        self._tables = tables
        self._knowledge = knowledge
        self._clock = clock
        self._bot = config.user
        self._policy = config.policy
        self._measures: frozenset[Measure] = config.policy_server.measures
        settings = PipelineSettings(
            bot=config.user,
            policy=config.policy,
            rules=tuple(map(CompiledRule.of, config.policy.rules)),
            content=config.records.content,
        )
        self._contexts = JudgingContexts(knowledge, settings, NoRecords())
        self._let_through = LetThrough(window_of(config))

    async def judgement(
        self, pdu: Pdu, room: RoomThatAsks, within_s: float, origin: str = "", *, proven: bool = False
    ) -> Judgement:
        """Return the judgement of an event that `origin` asks about.

        If it is `proven` that its sender's server sent it, it counts from now on if it is let through. Raises nothing:
        what cannot be judged is let through.
        """
        if not room.wanted:
            return Judgement(None, "unwanted")
        event = receive(client_event(pdu), pdu.room, self._clock())
        if isinstance(event, Unreadable):
            return Judgement(None, "unreadable")
        if isinstance(event, MessagePosted) and event.quoted:
            event = replace(event, quoted=())
        counted = self._counted(event) if proven else None
        if self._is_harmless(event):
            return _let_through(Judgement(None, "judged", event), counted)
        ends = time.monotonic() + within_s
        try:
            found = await self._tables.ask(lambda db: self._judged(db, event, counted), within_s, origin)
            if found.refusal is not None:
                self._forget(event)
                left_s = ends - time.monotonic()
                found = await self._tables.ask(lambda db: self._judged(db, event, counted), left_s, origin, again=True)
        except READ_ERRORS:
            return _let_through(Judgement(None, "not_judged", event), counted)
        found = replace(found, event=event, is_past=pdu.sent_ms < room.since_ms)
        return found if found.refusal is not None else _let_through(found, counted)

    def _is_harmless(self, event: Received) -> bool:
        """Tell whether an event breaks no rule by what is known, without a look at the tables."""
        assert not isinstance(event, Unreadable)
        due = self._contexts.uncounted(event) if self._tables.are_known() else None
        return due is not None and self._refusal(self._with_counts(due, event)) is None

    def _refusal(self, due: ToJudge) -> Refusal | None:
        assert not isinstance(due.event, FileSeen | Unreadable)
        return refused_beforehand(due.event, due.context, self._policy, due.rules, self._measures)

    def _forget(self, event: Event) -> None:
        """Let what is known of an event's room and sender be read again."""
        self._knowledge.room_changed(event.room)
        self._knowledge.moved(event.sender)
        self._knowledge.standing.clear()

    def _counted(self, event: Received) -> CountedEvent | None:
        """Return how an event counts if it is let through; None if it does not count."""
        if isinstance(event, Unreadable) or event.sender == self._bot or self._is_old(event):
            return None
        what = counted_as(event)
        if what is None and not isinstance(event, MessagePosted):
            return None
        return CountedEvent(self._let_through, event.room, event.sender, event.received_ms, what)

    async def _judged(self, db: AsyncConnection, event: Received, counted: CountedEvent | None) -> Judgement:
        assert not isinstance(event, Unreadable)
        room = await self._knowledge.room(db, event.room)
        if room is None:
            return Judgement(None, "judged")
        due = await self._contexts.of(UnitOfWork(db, first=0), _AFTER_ALL, event, room)
        due = self._with_counts(due, event)
        refusal = self._refusal(due)
        if refusal is None and counted is not None:
            counted.add()  # at once: others of the same flood wait for their turn
        if refusal is not None and event.event in await queries.known_events(db, [event.event]):
            return Judgement(None, "delivered")
        there = refusal is None or await _is_there(db, event)
        return Judgement(refusal, "judged", is_there=there, language=room.language, rules=due.rules)

    def _with_counts(self, due: ToJudge, event: Event) -> ToJudge:
        """Add what the sender posted lately, this event included; nothing if it claims to be old."""
        if self._is_old(event):
            return due
        own = counted_as(event)
        times = self._let_through.times(event.room, event.sender, event.received_ms)
        if own is not None or isinstance(event, MessagePosted):
            times = (*times, (event.received_ms, own))
        recent = tuple(at for at, what in times if what is None)
        others = tuple((at, what) for at, what in times if what is not None)
        return replace(due, context=replace(due.context, recent_ms=recent, recent_others=others))

    def _is_old(self, event: Event) -> bool:
        return event.sent_ms < event.received_ms - OLD_MS


def _let_through(found: Judgement, counted: CountedEvent | None) -> Judgement:
    """Return the judgement of an event that is let through, which counts from now on."""
    if counted is not None:
        counted.add()
    return replace(found, counted=counted)


async def _is_there(db: AsyncConnection, event: Received) -> bool:
    """Tell whether the sender of an event is in its room."""
    assert not isinstance(event, Unreadable)
    return (await queries.memberships(db, event.room, among=[event.sender])).get(event.sender) == "join"


def client_event(pdu: Pdu) -> dict[str, Json]:
    """Return an event in the format of clients, with what its content hash covers and no more.

    `unsigned` is what anybody made of it on the way.
    """
    raw: dict[str, Json] = {
        name: pdu.event[name]
        for name in ("type", "sender", "origin_server_ts", "content", "state_key", "redacts")
        if name in pdu.event
    }
    return {**raw, "event_id": pdu.event_id, "room_id": pdu.room}


def new_knowledge(config: Config) -> ViewCache:
    """Return an empty cache of what is read of rooms and people."""
    return ViewCache(config.user, incident_ms=config.policy.credit.incident_window, window_ms=window_of(config))


def window_of(config: Config) -> int:
    """Return how far back rules count, in milliseconds."""
    return max((LONGEST_OWN_MS, *(rule.window_ms() for rule in config.policy.rules)))
