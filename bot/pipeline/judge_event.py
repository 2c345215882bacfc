"""The judgement of one event: the answer to a command, what changes of a room mean, and what rules find.

Rules kept here:
- A command is judged like any other message as well.
- A defect in one of these three parts is recorded as `NotSeen`, and harms neither the other parts nor the next event.
- A failing disk is no defect: its error is raised to the caller.

Left to others: recording and acting on what follows (`pipeline.py`), what a command does (`commands/`), what state
means (`room_changes.py`), what rules say (`moderation/judge/judge.py`).
"""

import time
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from moderation.judge.judge import judge
from moderation.judge.withheld import Withholdable, judge_withheld
from moderation.model.actions.base import Action
from moderation.model.actions.cards import EditCard
from moderation.model.actions.files import HashMedia
from moderation.model.actions.telling import TellDesk
from moderation.model.context import RoomView
from moderation.model.facts import CaseOpened, Fact, KnownOfFile, MessageWithheld, NotSeen
from moderation.rules.labels import LabelsRule
from moderation.values.events import (
    MessagePosted,
    ReactionGiven,
    Received,
    Redacted,
    Undecryptable,
    Unreadable,
)
from moderation.values.ids import RoomId
from moderation.values.notices import Moment, RoomName, Who, line
from storage import queries

from .judging_context import JudgingContexts
from .judging_costs import JudgingCosts, letters
from .lost_time import REDACTED
from .message_text import Records
from .plugin_questions import plugin_questions
from .returned_cards import returned_card, returned_question, superseded_cards
from .room_changes import RoomChanges
from .undecrypted import UnreadMessages
from .unit_of_work import Answer, PipelineSettings, Responder, UnitOfWork
from .view_cache import ViewCache
from .withheld import event_of, refusal_of

log = structlog.get_logger()

A = TypeVar("A", Answer, Answer | None)
NOTHING = Answer()
MOST_FILES = 50  # of one event that are fetched: an event has room for thousands of addresses


class Judging:
    """A judge of events, one after the other, inside a unit of work."""

    def __init__(
        self,
        knowledge: ViewCache,
        rooms: RoomChanges,
        responder: Responder,
        settings: PipelineSettings,
        records: Records,
        costs: JudgingCosts,
    ) -> None:
        self.contexts = JudgingContexts(knowledge, settings, records)
        self._rooms = rooms
        self._responder = responder
        self._settings = settings
        self._costs = costs
        self.unread = UnreadMessages(settings.unreadable, settings.bot)
        of_files = [rule.settings for rule in settings.rules if rule.settings.OF_FILES]
        self.judges_files = bool(of_files)
        self._compares_files = any(not isinstance(rule, LabelsRule) for rule in of_files)  # by their hashes

    async def follow(
        self, unit: UnitOfWork, index: int, event: Received, room: RoomView, was: RoomView, era: str
    ) -> Answer:
        """Return all that follows from the event recorded at `index`; `was`: the room before it.

        `era`: of a log that continues from a backup (`outbox.put`).
        """
        if isinstance(event, Unreadable):
            return Answer()
        await self.contexts.count(unit, event)
        asked = await unharmed(index, room.room, self._asked(unit, index, event, room))
        changed = await unharmed(index, room.room, self._rooms.follow(unit, index, event, room, was))
        before = (*asked.facts, *changed.facts)
        judged = await unharmed(index, room.room, self._judged(unit, index, event, room, before, era))
        return Answer((*before, *judged.facts), (*asked.actions, *changed.actions, *judged.actions))

    async def _asked(self, unit: UnitOfWork, index: int, event: Received, room: RoomView) -> Answer:
        """Return the answer to a command or a reaction."""
        if not isinstance(event, MessagePosted | ReactionGiven) or event.sender == self._settings.bot:
            return Answer()
        if not self._responder.asks(event, direct=room.purpose == "direct"):
            return Answer()
        await unit.flush()
        return await self._responder.respond(unit.db, event, room, index) or Answer()

    async def _judged(
        self, unit: UnitOfWork, index: int, event: Received, room: RoomView, before: Sequence[Fact], era: str
    ) -> Answer:
        assert not isinstance(event, Unreadable)
        settings = self._settings
        due = await self.contexts.of(unit, index, event, room)
        context = due.context
        if taken := sum(isinstance(fact, CaseOpened) for fact in before):
            context = replace(context, next_case=context.next_case + taken)
        began = time.thread_time()
        judged = judge(due.event, context, settings.policy, due.rules, index)
        self._costs.spent(event.room, letters(due.event), (time.thread_time() - began) * 1000)
        self.contexts.judged(due.event, judged)
        cards = await returned_card(unit.db, event, room, settings.bot, index, era)
        old_cards = await superseded_cards(unit.db, event, room, settings.bot, era)
        question = await returned_question(unit.db, event, room, settings.bot, index)
        told = (*old_cards, *question.actions, *await self._removed(unit, event, room), *_taken_back(event, room))
        told = (*told, *self._unread(event, room))
        return Answer((*cards, *question.facts, *judged), (*told, *self._files(event, room, index)))

    async def _removed(self, unit: UnitOfWork, event: Received, room: RoomView) -> tuple[Action, ...]:
        """Return the edits of the cards of cases that wait, if somebody removed a message they are about by hand."""
        if not isinstance(event, Redacted) or room.purpose != "group" or event.sender == self._settings.bot:
            return ()
        cases = await queries.cases_with(unit.db, event.target)
        return tuple(EditCard(room=room.room, n=case.n) for case in cases if case.waits and case.card)

    def _unread(self, event: Received, room: RoomView) -> tuple[Action, ...]:
        if not isinstance(event, Undecryptable) or event.late >= 0:
            return ()
        return self.unread.follow(room, event.event, event.sender, event.received_ms, event.code)

    def _files(self, event: Received, room: RoomView, index: int) -> tuple[Action, ...]:
        """Return what finds out about an event's files in a group, if the settings ask for it: hash, size, labels."""
        if not self._settings.media or room.purpose != "group" or isinstance(event, Unreadable):
            return ()
        if event.sender == self._settings.bot:
            return ()
        judged = self._compares_files and room.active  # not the faces of all who were there before the bot
        files = [file for file in event.media if file.url and (judged or file.kind != "avatar")][:MOST_FILES]
        hashed = tuple(
            HashMedia(
                room=event.room,
                url=file.url or "",
                file=dict(file.sealed) if file.sealed else None,
                subject=event.sender,
                on=index,
                judged=judged,
            )
            for file in files
        )
        return (
            *hashed,
            *plugin_questions(event, files, room, index, self._settings),
        )

    async def follow_file(self, unit: UnitOfWork, index: int, kept: KnownOfFile, room: RoomView, now_ms: int) -> Answer:
        """Return all that follows from what is in a file, recorded at `index`."""
        due = await self.contexts.of_file(unit, kept, room, now_ms)
        return Answer(judge(due.event, due.context, self._settings.policy, due.rules, index) if due else ())

    async def follow_withheld(
        self, unit: UnitOfWork, index: int, fact: MessageWithheld, room: RoomView, now_ms: int
    ) -> Answer:
        """Return all that follows from a refusal before delivery, recorded at `index`."""
        event = event_of(fact, now_ms)
        due = await self.contexts.of_withheld(unit, index, event, room)
        policy = self._settings.policy
        assert isinstance(due.event, Withholdable)
        return Answer(judge_withheld(due.event, refusal_of(fact), due.context, policy, due.rules, index))


def _taken_back(event: Received, room: RoomView) -> tuple[Action, ...]:
    """Return what tells the desk that somebody took a message back before the bot could read it.

    At most one such message a person waits to be sent.
    """
    if not isinstance(event, Undecryptable) or event.code != REDACTED or room.purpose != "group" or not room.active:
        return ()
    by = Who(event.removed_by or event.sender)
    when, sent = Moment(event.removed_ms or event.received_ms), Moment(event.sent_ms)
    said = line("desk.taken-back", who=Who(event.sender), sent=sent, by=by, when=when, room=RoomName(room.room))
    return (TellDesk(room=room.room, lines=(said,), once=f"taken back {event.sender}"),)


async def unharmed(index: int, room: RoomId, part: Awaitable[A], otherwise: Answer = NOTHING) -> A:
    """Return what one part answers or, if it has a defect, `otherwise`.

    The fact that what is recorded at `index` was not seen is added to it. Raises OSError and SQLAlchemyError of the
    part.
    """
    try:
        return await part
    except (OSError, SQLAlchemyError):
        raise
    except Exception:
        log.exception("judging_failed", record=index)
        return replace(otherwise, facts=(NotSeen(room=room, on=index, what="failed", count=1), *otherwise.facts))
