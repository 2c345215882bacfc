"""receive -> record -> judge -> (outbox): one door for everything that is written.

Rules this module keeps, in this order, for every batch:
1. what was received is appended to the journal and fsynced; only then is it judged;
2. the facts that follow are appended and fsynced; only then
3. one database transaction is committed, with the tables, the outbox rows and the sync token. So a message that the
   homeserver delivered is on disk before the token that acknowledges it, and what is in the journal but not in the
   database is caught up on start (`bot/catch_up.py`). One turn at a time: whoever wants to write waits for the lock.
   A defect in judging one event is noted and does not stop the others; a failing disk stops everything.
Left to others: what an event is (`receive.py`), what follows (`moderation/`), what a command does (`commands/`),
sending (`act.py`)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.actions import Action, Align, KeepDesk
from moderation.consequences import consequences
from moderation.context import Condition, RoomView
from moderation.events import (
    MembershipChanged,
    MessagePosted,
    ReactionGiven,
    Received,
    StateChanged,
    Unreadable,
)
from moderation.facts import (
    CaseOpened,
    Fact,
    Found,
    NotSeen,
    RoleChanged,
    RoomEntered,
    RoomStateChanged,
)
from moderation.ids import GroupCode, PersonId, RoomId, UserId
from moderation.judge import CompiledRule, judge
from moderation.policy import Policy
from storage import outbox, views
from storage.database import Database
from storage.entries import Content, draft_of_event, draft_of_fact
from storage.project import project, project_events, project_room_state, set_meta
from storage.records.draft import Draft
from storage.records.journal import Journal

from .clock import Clock
from .knowledge import Knowledge

log = structlog.get_logger()

NEEDED_TO_PROTECT = frozenset({"post", "redact", "kick", "ban", "levels"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an event gave rise to: facts, and actions that are not consequences of facts (an answer)."""

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()


class Responder(Protocol):
    """Answers what people ask of the bot: commands and reactions (`bot/commands`)."""

    def asks(self, event: MessagePosted | ReactionGiven) -> bool:
        """Whether the event may ask something of the bot; a quick look, without the database."""
        ...

    async def respond(
        self, db: AsyncConnection, event: MessagePosted | ReactionGiven, room: RoomView, on: int
    ) -> Answer | None:
        """The answer, or None if the event asks nothing of the bot."""
        ...


@dataclass(slots=True)
class Turn:
    """One writing turn: the transaction, and the facts waiting for the journal."""

    db: AsyncConnection
    first: int  # the index that the first staged draft will have
    staged: list[Draft] = field(default_factory=list)
    seen: list[tuple[int, Received, str]] = field(default_factory=list)  # events not yet in the tables
    queued: int = 0  # actions put into the outbox

    @property
    def next_index(self) -> int:
        return self.first + len(self.staged)

    async def flush(self) -> None:
        """Put what was seen into the tables, before somebody looks there."""
        if self.seen:
            seen, self.seen = self.seen, []
            await project_events(self.db, seen)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pipeline needs to know of the configuration."""

    bot: UserId
    policy: Policy
    rules: tuple[CompiledRule, ...]
    content: Content = "full"


class Pipeline:
    """The one writer."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        knowledge: Knowledge,
        settings: Settings,
        clock: Clock,
        responder: Responder,
        wake: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.knowledge = knowledge
        self._journal = journal
        self._database = database
        self._clock = clock
        self._responder = responder
        self._wake = wake
        self._lock = asyncio.Lock()
        self._codes: dict[RoomId, GroupCode] = {}
        self._recording: set[RoomId] = set()  # the rooms in which all that is said is recorded

    async def catch_up(self, apply: Callable[["Turn"], Awaitable[int]]) -> int:
        """Run `apply` (of `bot/catch_up.py`) in one turn, before anything else is taken."""
        async with self._lock, self._turn() as turn:
            return await apply(turn)

    async def begin(self) -> None:
        """Read what must be known before the first turn."""
        async with self._database.read() as db:
            self._codes = await views.all_rooms(db)
            self._recording = await views.recording(db)
            await self.knowledge.begin(db)

    def knows(self, room: RoomId) -> bool:
        """Whether the room is one that the bot serves or served."""
        return room in self._codes

    def records(self, room: RoomId) -> bool:
        """Whether what is said in the room is recorded now."""
        return room in self._recording

    # What comes from the homeserver.

    async def take(self, events: Sequence[Received], *, token: str | None = None) -> int:
        """Record, judge and queue what follows. Returns how many events were new.

        Events of rooms that are not served, and events seen before, are left out. `token` is the sync token that
        acknowledges all of them.
        """
        async with self._lock:
            return await self._take([event for event in events if event.room in self._recording], token)

    async def open_room(
        self,
        room: RoomId,
        snapshot: Sequence[Received],
        backlog: Callable[[], Awaitable[Sequence[Received]]],
    ) -> None:
        """Begin to record a room: who is there and what holds there first, then its condition and roles, then all that
        was said since the notice (`backlog`), before anything newer is taken.
        """
        async with self._lock:
            await self._take(snapshot, None)
            async with self._turn() as turn:
                self.knowledge.room_changed(room)
                view = await self.knowledge.room(turn.db, room)
                assert view is not None, "a room is entered before it is opened"
                roles = await self.role_changes(turn.db, view, -1, UserId(""))
                opened = RoomStateChanged(room=room, condition=self._condition(view))
                answer = Answer((opened, *roles), (KeepDesk(room=room), Align(room=room)))
                await self.settle(turn, answer, cause=turn.next_index, at_ms=self._clock())
            await self._take(await backlog(), None)
            self._wake()

    def _woken_by(self, turn: Turn) -> None:
        if turn.queued or turn.staged:
            self._wake()

    def _condition(self, room: RoomView) -> Condition:
        lacks = {lack.right for lack in room.power.missing_for(self.settings.bot)}
        return "observing" if lacks & NEEDED_TO_PROTECT else "protected"

    async def _take(self, events: Sequence[Received], token: str | None) -> int:
        fresh = await self._fresh(events)
        if not fresh and token is None:
            return 0
        drafts = [self._draft(event) for event in fresh]
        first = await self._write(drafts) if drafts else self._journal.size
        async with self._turn() as turn:
            for index, (event, draft) in enumerate(zip(fresh, drafts, strict=True), first):
                await self.handle(turn, index, event, draft.kind)
            if token is not None:
                await set_meta(turn.db, "sync_token", token)
        self._woken_by(turn)
        return len(fresh)

    async def handle(
        self, turn: Turn, index: int, event: Received, kind: str, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Everything that follows from the event recorded at `index`.

        `present` are the facts of it that the journal already has (after a crash); they are not written again.
        """
        turn.seen.append((index, event, kind))
        room = await self.knowledge.room(turn.db, event.room)
        if room is None:
            return
        if isinstance(event, StateChanged):
            await project_room_state(turn.db, event)
            self.knowledge.room_changed(event.room)
            room = await self.knowledge.room(turn.db, event.room) or room
        answer = await self._answer(turn, index, event, room)
        await self.settle(turn, answer, cause=index, at_ms=_received(event), present=present)

    async def _answer(self, turn: Turn, index: int, event: Received, room: RoomView) -> Answer:
        try:
            return await self._follow(turn, index, event, room)
        except (OSError, SQLAlchemyError):
            raise  # the disk, not the event
        except Exception:
            log.exception("judging_failed", record=index)
            return Answer((NotSeen(room=event.room, on=index, what="failed", count=1),))

    async def _follow(self, turn: Turn, index: int, event: Received, room: RoomView) -> Answer:
        if isinstance(event, Unreadable):
            return Answer()
        if isinstance(event, MessagePosted) and event.sender != self.settings.bot:
            await self.knowledge.posted(turn.db, event.room, event.sender, event.received_ms)
        asked = await self._asked(turn, index, event, room)
        facts, actions = asked.facts, asked.actions
        if isinstance(event, StateChanged | MembershipChanged):
            facts, actions = await self._room_changed(turn, index, event, room)
        context = await self.knowledge.context(turn.db, room, event.sender, event.received_ms)
        judged = judge(event, context, self.settings.policy, self.settings.rules, index)
        return Answer((*facts, *judged), actions)

    async def _asked(self, turn: Turn, index: int, event: Received, room: RoomView) -> Answer:
        """The answer to a command or a reaction. A command is judged like any message all the same."""
        mine = getattr(event, "sender", None) == self.settings.bot
        if mine or not isinstance(event, MessagePosted | ReactionGiven) or not self._responder.asks(event):
            return Answer()
        await turn.flush()
        return await self._responder.respond(turn.db, event, room, index) or Answer()

    async def settle(
        self, turn: Turn, answer: Answer, *, cause: int, at_ms: int, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Stage the facts, apply them, and queue what they and the answer ask for."""
        facts = [self._without_words(fact) for fact in answer.facts]
        known = [fact for _, fact in present]
        if facts[: len(known)] != known:
            log.warning("judged_otherwise_before", record=cause)
            facts = known  # what is recorded holds
        for number, fact in enumerate(facts):
            if number < len(present):
                index = present[number][0]
            else:
                index = turn.next_index
                turn.staged.append(self._draft_of_fact(fact, at_ms))
            await self._apply(turn, index, fact, at_ms)
        follow = consequences(facts, await self._rooms_of(turn, facts)) if facts else ()
        actions = (*follow, *answer.actions)
        await outbox.put(turn.db, actions, cause=cause)
        turn.queued += len(actions)

    # What comes from inside: outcomes, deadlines, starts.

    async def commit(
        self,
        facts: Sequence[Fact] = (),
        *,
        actions: Sequence[Action] = (),
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> None:
        """Record facts that no event gave rise to, with what follows; `also` runs in the same transaction."""
        async with self._lock:
            at_ms = self._clock()
            async with self._turn() as turn:
                if facts or actions:
                    await self.settle(turn, Answer(tuple(facts), tuple(actions)), cause=turn.next_index, at_ms=at_ms)
                if also is not None:
                    await also(turn.db)
            self._woken_by(turn)

    async def commit_with(self, make: Callable[[AsyncConnection], Awaitable[Sequence[tuple[Fact, ...]]]]) -> int:
        """Like `commit`, for facts that must be made from what is known inside the turn. One group a cause."""
        async with self._lock:
            at_ms = self._clock()
            async with self._turn() as turn:
                groups = await make(turn.db)
                for facts in groups:
                    await self.settle(turn, Answer(facts), cause=turn.next_index, at_ms=at_ms)
            self._woken_by(turn)
            return len(groups)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Turn]:
        """A transaction that commits only after the staged facts are durable in the journal."""
        try:
            async with self._database.write() as db:
                turn = Turn(db, self._journal.size)
                yield turn
                await turn.flush()
                if turn.staged:
                    first = await self._write(turn.staged)
                    assert first == turn.first, "somebody else wrote to the journal"
                await set_meta(db, "applied", str(self._journal.size))
        except BaseException:
            await self.begin()  # what was applied in memory did not happen
            raise

    async def _write(self, drafts: Sequence[Draft]) -> int:
        return await asyncio.to_thread(self._append, drafts)

    def _append(self, drafts: Sequence[Draft]) -> int:
        first = self._journal.append(drafts)[0]
        self._journal.sync()
        return first

    async def checkpoint(self) -> None:
        """Sign the journal as it stands, if it is time."""
        async with self._lock:
            now = self._clock()
            if self._journal.due_for_checkpoint(now):
                await asyncio.to_thread(self._journal.checkpoint, now)

    # Pieces.

    async def _fresh(self, events: Sequence[Received]) -> list[Received]:
        """The events to record, each once, in order."""
        served = [event for event in events if event.room in self._codes]
        ids = [event.event for event in served if event.event is not None]
        async with self._database.read() as db:
            seen = await views.known_events(db, ids)
        fresh: list[Received] = []
        for event in served:
            if event.event is None or event.event not in seen:
                fresh.append(event)
                seen.add(event.event or "")
        return fresh

    def _draft(self, event: Received) -> Draft:
        s = self.settings
        return draft_of_event(event, self._codes[event.room], _same_person, content=s.content, bot=s.bot)

    def _draft_of_fact(self, fact: Fact, at_ms: int) -> Draft:
        if isinstance(fact, RoomEntered):
            return draft_of_fact(fact, at_ms, fact.code, _same_person)
        code = self._codes.get(fact.room) if fact.room is not None else None
        return draft_of_fact(fact, at_ms, code, _same_person)

    def _without_words(self, fact: Fact) -> Fact:
        """With `content = "metadata"` nothing that a person wrote is kept, here neither."""
        if self.settings.content == "full":
            return fact
        if isinstance(fact, Found):
            return replace(fact, matched="")
        return replace(fact, excerpt="") if isinstance(fact, CaseOpened) else fact

    async def _apply(self, turn: Turn, index: int, fact: Fact, at_ms: int) -> None:
        await project(fact, turn.db, index, at_ms)
        if isinstance(fact, RoomEntered):
            self._codes[RoomId(fact.room_id)] = fact.code
            if fact.purpose != "group":
                self._recording.add(RoomId(fact.room_id))
            self.knowledge.room_changed(RoomId(fact.room_id))
        if isinstance(fact, RoomStateChanged) and fact.room is not None:
            active = fact.condition in ("observing", "protected")
            (self._recording.add if active else self._recording.discard)(fact.room)
        if isinstance(fact, CaseOpened):
            self.knowledge.next_case = max(self.knowledge.next_case, fact.n + 1)
        self.knowledge.changed([fact])

    async def _rooms_of(self, turn: Turn, facts: Sequence[Fact]) -> Callable[[UserId], Sequence[RoomId]]:
        everywhere = {user for fact in facts if fact.room is None and (user := getattr(fact, "subject", UserId("")))}
        if everywhere:
            await turn.flush()
        rooms = {user: await views.groups_of(turn.db, user) for user in everywhere}
        return lambda user: rooms.get(user, ())

    async def _room_changed(
        self, turn: Turn, index: int, event: StateChanged | MembershipChanged, room: RoomView
    ) -> tuple[tuple[Fact, ...], tuple[Action, ...]]:
        """What a change of levels or members means for roles, sanctions and desks."""
        if room.purpose != "group":
            return (), ()
        if isinstance(event, MembershipChanged):
            return await self._member_changed(turn, index, event, room)
        if event.type != "m.room.power_levels" or not room.active:
            return (), ()
        facts: list[Fact] = list(await self.role_changes(turn.db, room, index, event.sender))
        if (condition := self._condition(room)) != room.condition:
            facts.append(RoomStateChanged(room=room.room, on=index, condition=condition))
        return tuple(facts), (Align(room=room.room),)

    async def _member_changed(
        self, turn: Turn, index: int, event: MembershipChanged, room: RoomView
    ) -> tuple[tuple[Fact, ...], tuple[Action, ...]]:
        if event.user == self.settings.bot:
            gone = event.membership in ("leave", "ban") and room.condition != "left"
            return ((RoomStateChanged(room=room.room, on=index, condition="left"),) if gone else ()), ()
        if not room.active:
            return (), ()
        actions: list[Action] = []
        person = await self.knowledge.person(turn.db, event.user, event.received_ms)
        if any(sanction.covers(room.room) for sanction in person.in_force):
            actions.append(Align(room=room.room))
        if room.power.role(event.user) != "member":
            actions.append(KeepDesk(room=room.room))
        return (), tuple(actions)

    async def role_changes(self, db: AsyncConnection, room: RoomView, on: int, by: UserId) -> tuple[RoleChanged, ...]:
        """Whose role in a room differs from what was noted last."""
        before = await views.roles(db, room.room)
        now = dict.fromkeys(room.power.owners(), "owner") | dict.fromkeys(room.power.managers(), "manager")
        return tuple(
            RoleChanged(
                room=room.room,
                on=on,
                role=now.get(user, "member"),  # type: ignore[arg-type]
                was=before.get(user, "member"),  # type: ignore[arg-type]
                subject=user,
                by=by,
            )
            for user in sorted(before.keys() | now.keys())
            if now.get(user, "member") != before.get(user, "member") and user != self.settings.bot
        )


def _received(event: Received) -> int:
    return event.received_ms


def _same_person(user: UserId) -> PersonId:
    return PersonId(user)
