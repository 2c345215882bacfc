"""What one writing turn is made of: the transaction, what waits for the journal, and answers to what came in."""

from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.judge import CompiledRule
from moderation.model.actions import Action
from moderation.model.context import RoomView
from moderation.model.facts import Fact
from moderation.policy import Policy
from moderation.values.events import MessagePosted, ReactionGiven, Received
from moderation.values.ids import UserId
from storage.journal.record import Draft
from storage.projections import project_events
from storage.record_mapping import Content

from .undecrypted import Consequence


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

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first event."""
        ...

    def hushed(self, event: Received) -> bool:
        """Whether the words of this, said in a direct room, are not to be recorded. Asked once, in order."""
        ...

    def without_token(self, event: Received) -> MessagePosted | None:
        """The event without the code or address in it, if it was one said before others and nothing else."""
        ...

    async def respond(
        self, db: AsyncConnection, event: MessagePosted | ReactionGiven, room: RoomView, on: int
    ) -> Answer | None:
        """The answer, or None if the event asks nothing of the bot."""
        ...


@dataclass(slots=True)
class UnitOfWork:
    """One writing turn."""

    db: AsyncConnection
    first: int  # the index that the first staged draft will have
    staged: list[Draft] = field(default_factory=list)
    seen: list[tuple[int, Received, str]] = field(default_factory=list)  # events not yet in the tables
    queued: int = 0  # actions put into the outbox
    waited_s: float = 0  # for answers to what was urgent
    began: int = -1  # the index that the first draft of the turn will have or had

    def __post_init__(self) -> None:
        self.began = self.first

    def written(self) -> None:
        """What was staged is in the journal."""
        self.first += len(self.staged)
        self.staged = []

    @property
    def next_index(self) -> int:
        """The index that the next staged draft will have: there is one writer, so it is known before."""
        return self.first + len(self.staged)

    async def flush(self) -> None:
        """Put what was seen into the tables, before somebody looks there."""
        if self.seen:
            seen, self.seen = self.seen, []
            await project_events(self.db, seen)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the pipeline needs to know of the configuration."""

    bot: UserId
    policy: Policy
    rules: tuple[CompiledRule, ...]
    content: Content = "full"
    media: bool = True  # whether files are fetched, to note their hash and size
    unreadable: Consequence = "tell"  # what follows where people keep messages unreadable
