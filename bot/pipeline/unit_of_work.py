"""The parts of a unit of work: the transaction, what waits for the journal, and answers to events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.alerts import AlertSettings
from bot.config.plugins import PluginSettings
from bot.config.policy_server import LOCALPART
from moderation.judge.judge import CompiledRule
from moderation.model.actions.base import Action
from moderation.model.context import RoomView
from moderation.model.facts import ConsoleCommand, Fact
from moderation.policy import Policy
from moderation.values.events import MessagePosted, ReactionGiven, Received
from moderation.values.ids import UserId
from moderation.values.notices import Line
from storage import outbox
from storage.journal.record import Draft
from storage.projections import DailyCounts, project_events
from storage.record_mapping import Content

from .said_once import said_once
from .told_together import told_together
from .undecrypted import Consequence


@dataclass(frozen=True, slots=True)
class Answer:
    """The facts that follow from an event, and the actions that are not consequences of facts, such as a reply.

    `told` is shown where a command was given in the web console; `refused`: it says why nothing was done.
    """

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    told: tuple[Line, ...] = ()
    refused: bool = False


class Responder(Protocol):
    """A part that answers what people ask of the bot by commands and reactions (`bot/commands`)."""

    def asks(self, event: MessagePosted | ReactionGiven, *, direct: bool) -> bool:
        """Tell whether the event may ask something of the bot: a quick check without the database."""
        ...

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first event."""
        ...

    def hushed(self, event: Received) -> bool:
        """Tell whether the words of this event, said in a direct room, must not be recorded.

        To be asked once for each event, in order.
        """
        ...

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return the event without its code or address, if that is all it holds and others could read it; else None."""
        ...

    async def respond(
        self, db: AsyncConnection, event: MessagePosted | ReactionGiven, room: RoomView, on: int
    ) -> Answer | None:
        """Return the answer, or None if the event asks nothing of the bot."""
        ...

    async def carry_out(
        self, db: AsyncConnection, asked: ConsoleCommand, room: RoomView, on: int, now_ms: int
    ) -> Answer:
        """Return what a command given in the web console brings; it counts as said in the direct room `room`."""
        ...


@dataclass(slots=True)
class UnitOfWork:
    """One transaction of the database together with the records that it adds to the journal."""

    db: AsyncConnection
    first: int  # the index that the first staged draft will have
    staged: list[Draft] = field(default_factory=list)
    seen: list[tuple[int, Received, str]] = field(default_factory=list)  # events not yet in the tables
    counts: DailyCounts = field(default_factory=DailyCounts)
    queued: int = 0  # actions put into the outbox, or made due there
    waited_s: float = 0  # for answers to urgent requests
    meta: dict[str, str] = field(default_factory=dict)  # values of the deployment to be written at the end
    began: int = -1  # the index that the first draft of the unit will have or had

    def __post_init__(self) -> None:
        self.began = self.first

    def stage(self, drafts: Iterable[Draft]) -> None:
        """Add drafts to those that wait for the journal."""
        self.staged.extend(drafts)

    async def queue(self, actions: Sequence[Action], *, cause: int | None, now: int, era: str) -> None:
        """Put actions into the outbox (`outbox.put`)."""
        once = await told_together(self.db, await said_once(self.db, actions))
        await outbox.put(self.db, once, cause=cause, now=now, era=era)
        self.queued += len(once)

    def made_due(self) -> None:
        """Note that actions which wait in the outbox are due now, so that the dispatcher looks."""
        self.queued += 1

    def waited(self, seconds: float) -> None:
        """Count the time for which answers to urgent requests were waited for."""
        self.waited_s += seconds

    def written(self) -> None:
        """Note that what was staged is in the journal."""
        self.first += len(self.staged)
        self.staged = []

    @property
    def next_index(self) -> int:
        """The index that the next staged draft will have, known in advance because there is only one writer."""
        return self.first + len(self.staged)

    async def flush(self) -> None:
        """Write the events seen so far into the tables, before these are read."""
        if self.seen:
            seen, self.seen = self.seen, []
            await project_events(self.db, seen)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The part of the configuration that the pipeline needs."""

    bot: UserId
    policy: Policy
    rules: tuple[CompiledRule, ...]
    content: Content = "full"
    media: bool = True  # whether files are fetched, to note their hash and size
    unreadable: Consequence = "tell"  # what follows if people make their messages unreadable
    alerts: AlertSettings = field(default_factory=AlertSettings)
    plugins: tuple[PluginSettings, ...] = ()
    policy_server: str = ""  # the name of the deployment's own; "": it has none
    sharded: bool = False  # whether other shards have to learn what is recorded

    @property
    def policy_user(self) -> str:
        """Return the user of the policy server, who is no person; "" without one."""
        return f"@{LOCALPART}:{self.policy_server}" if self.policy_server else ""
