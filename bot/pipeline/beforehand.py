"""The judgement of events that are not in their rooms yet, with what the pipeline knows, in its turn.

Rules kept here:
- It is the judgement after delivery, asked earlier (`moderation/judge/beforehand.py`). What is refused is recorded,
  with all that follows, before it is answered.
- What breaks nothing by what is known already is let through at once: only to refuse, or to ask the database, is a turn
  of the writer waited for.
- Questions that wait together are judged in one turn of the writer and recorded in one unit of work. What is no longer
  in time is not judged, and not recorded either: it is in its room by then.
- Nothing is refused of somebody who is not in the room, as far as is known here.
- What shows a code to others is not refused: it would be recorded with the code (`shown_codes.py`).

Left to others: questions (`bot/antispam/messages.py`), recording (`Pipeline.withhold`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from moderation.judge.beforehand import Refusal, refused_beforehand
from moderation.model.context import RoomView
from moderation.model.facts import WithheldBy
from moderation.policy import Measure
from moderation.values.events import (
    FileSeen,
    Json,
    MembershipChanged,
    MessagePosted,
    ReactionGiven,
    Received,
    Redacted,
    Undecryptable,
    Unreadable,
)
from storage import queries

from .judging_context import ToJudge
from .pipeline import Pipeline
from .unit_of_work import UnitOfWork
from .withheld import Withheld

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BeforeDelivery:
    """An event that waits for its delivery, as it is read and as it came."""

    event: Received
    raw: Mapping[str, Json] = field(repr=False)
    in_time: Callable[[], bool]  # whether an answer still matters
    records: Callable[[], bool]  # whether a refusal is recorded; asked once, if it is refused


@dataclass(frozen=True, slots=True)
class RefusedIn:
    """An event that is refused, its room, and whether the refusal is recorded."""

    refusal: Refusal
    room: RoomView
    recorded: bool = False


class Beforehand:
    """The judge of events before their delivery; `measures`: those of the rules that may refuse one."""

    def __init__(self, pipeline: Pipeline, measures: frozenset[Measure], by: WithheldBy) -> None:
        self._pipeline = pipeline
        self._policy = pipeline.settings.policy
        self._measures = measures
        self._by = by

    def concerns(self, event: Received) -> bool:
        """Return whether an event can be refused at all: a quick look, without the tables."""
        if isinstance(event, MembershipChanged | Redacted | Undecryptable | Unreadable):
            return False
        served, bot = self._pipeline.served, self._pipeline.settings.bot
        if event.sender == bot or not served.records(event.room) or served.is_own(event.room):
            return False
        return self._pipeline.shown_codes.without_token(event) is None

    def lets_through(self, event: Received) -> bool:
        """Return whether an event that is concerned surely breaks nothing; it counts then as on its way."""
        due = self._pipeline.contexts.at_hand(event)
        if due is None or self._refusal(due) is not None:
            return False
        self._on_its_way(event)
        return True

    async def judge(self, asked: Sequence[BeforeDelivery]) -> Sequence[RefusedIn | None]:
        """Return for each event why it is refused; None if it is not."""
        return await self._pipeline.writer.run_exclusive(self._in_turn(asked))

    async def _in_turn(self, asked: Sequence[BeforeDelivery]) -> Sequence[RefusedIn | None]:
        async with self._pipeline.reading() as unit:
            answers = [await self._unharmed(unit, each) for each in asked]
        answers = [answer if each.in_time() else None for each, answer in zip(asked, answers, strict=True)]
        answers = [
            replace(answer, recorded=each.records()) if answer is not None else None
            for each, answer in zip(asked, answers, strict=True)
        ]
        recorded = [
            self._withheld(each, answer)
            for each, answer in zip(asked, answers, strict=True)
            if answer is not None and answer.recorded
        ]
        if recorded:
            await self._pipeline.withholding.take_in_turn(recorded)
        return answers

    async def _unharmed(self, unit: UnitOfWork, asked: BeforeDelivery) -> RefusedIn | None:
        """Return the answer for one event; a defect lets it through, to be judged after its delivery."""
        try:
            return await self._one(unit, asked)
        except (OSError, SQLAlchemyError):
            raise
        except Exception:
            log.exception("judging_beforehand_failed", room=asked.event.room)
            return None

    async def _one(self, unit: UnitOfWork, asked: BeforeDelivery) -> RefusedIn | None:
        event, knowledge = asked.event, self._pipeline.knowledge
        if not asked.in_time() or event.sender is None:
            return None
        room = await knowledge.room(unit.db, event.room)
        there = await queries.memberships(unit.db, event.room, among=[event.sender])
        if room is None or there.get(event.sender) != "join":
            return None
        due = await self._pipeline.contexts.of_waiting(unit, event, room)
        if (refusal := self._refusal(due)) is not None:
            return RefusedIn(refusal, room)
        self._on_its_way(event)
        return None

    def _refusal(self, due: ToJudge) -> Refusal | None:
        assert not isinstance(due.event, FileSeen)
        return refused_beforehand(due.event, due.context, self._policy, due.rules, self._measures)

    def _on_its_way(self, event: Received) -> None:
        if isinstance(event, MessagePosted):
            self._pipeline.knowledge.on_the_way.add(event, None)
        elif isinstance(event, ReactionGiven):
            self._pipeline.knowledge.on_the_way.add(event, "reactions")

    def _withheld(self, asked: BeforeDelivery, answer: RefusedIn) -> Withheld:
        event = asked.event
        assert event.event is not None
        return Withheld(event.room, event.event, asked.raw, answer.refusal, self._by, event.received_ms)
