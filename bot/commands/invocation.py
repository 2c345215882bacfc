"""One command being carried out: who asked, where, for which room, and what is known.

A command declares what it needs and gets only this. It returns facts and lines; it sends nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.identity.asking import Asking
from bot.pipeline.known_event import KnownEvent
from bot.pipeline.view_cache import ViewCache
from bot.pipeline.watched_lists import WatchedLists
from bot.texts.case_words import SaidAt
from bot.texts.catalog import Catalog
from moderation.cases.manager_orders import Order
from moderation.duty.responsibility import Deed
from moderation.judge.judge import CompiledRule
from moderation.judge.room_rules import with_own
from moderation.model.actions.base import Action
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Say, Tell
from moderation.model.context import Context, RoomView
from moderation.model.facts import Fact, LanguageChosen
from moderation.policy import Policy
from moderation.values.events import MessagePosted, ReactionGiven
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import Code, Line, Phrase, line

from .parse import Arguments

Who = Literal["everyone", "manager"]
Finds = Callable[[AsyncConnection, EventId], Awaitable[KnownEvent | None]]
Words = Callable[[RoomId, int], str]  # (room, record) -> the text of that message; reads the disk


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a command: facts, the answer, and further actions.

    `private`: the answer concerns one person, so in a group it is not given in front of all. `alone`: moreover nobody,
    the managers included, may see that there was anything to answer.
    """

    lines: tuple[Line, ...] = ()
    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    private: bool = False
    alone: bool = False
    refused: bool = False  # the answer says why nothing was done


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSetup:
    """Everything that is the same for all calls: the configuration, and what commands read."""

    knowledge: ViewCache
    configured: Policy  # the operator's; `Call.policy` has the room's own rules too
    bot: UserId
    prefix: str
    words: Words
    said_at: SaidAt
    known_event: Finds
    zone: str  # the time zone of this deployment
    verification: Asking | None  # None: there is no identity store
    rules: tuple[CompiledRule, ...]  # those of the configuration, ready to look at events
    language: str
    vkey: str  # the key that checks the signatures of the log
    digest: str  # when desks get their digest of what waits; "": never
    console: str | None  # the address of the web console; None: it has none that managers could reach
    lists: WatchedLists  # the policy lists, and what they say now
    policy_server: str  # the name of the deployment's policy server; "": it has none
    policy_down_ms: int  # how long nobody may reach it before rooms stop asking it
    sharded: bool  # whether the deployment has other shards
    commands: Mapping[str, "Command"]  # all there are, by name


@dataclass(frozen=True, slots=True)
class Call:
    """A command and its surroundings."""

    db: AsyncConnection
    caller: UserId
    now_ms: int  # when it was given
    event: MessagePosted | ReactionGiven | None  # None: given in the web console, which counts as said in `here`
    here: RoomView  # where it was said
    group: RoomView  # what it is about
    given: Arguments
    on: int  # the record of it
    setup: CommandSetup

    @property
    def policy(self) -> Policy:
        """The policy that holds in the room this is about."""
        return with_own(self.setup.configured, self.group.rules)

    def said(self, key: str) -> str:
        """Return a text in the language of the room this is about."""
        return Catalog.load().template(self.group.language or self.setup.language, key)

    def gone(self) -> tuple[Action, ...]:
        """Redact the command itself where possible: the group stays clean, and few see a reporter's name."""
        return self.redaction() if self.here.purpose == "group" else ()

    def redaction(self) -> tuple[Action, ...]:
        """Redact the command itself, where it is an event and the bot has the power."""
        if self.event is None or self.here.condition != "protected":
            return ()
        return (Redact(room=self.here.room, event=self.event.event, subject=self.caller),)

    async def context(self, user: UserId) -> Context:
        """Return what is known of `user` in the room this is about."""
        return await self.setup.knowledge.context(self.db, self.group, user, self.now_ms)

    async def order(self, target: UserId) -> Order:
        """Return an order of the caller against `target`."""
        return Order(by=self.caller, on=self.on, context=await self.context(target), policy=self.policy)


Run = Callable[[Call], Awaitable[Reply]]


# In the order in which `!help` shows them.
SUBJECTS = ("asking", "credit", "cases", "vouching", "duty", "reports", "yourself", "measures", "room", "dossiers")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with all that has to be known of it: who may give it, where, and how it is written and answered."""

    name: str
    who: Who
    spec: str
    run: Run
    aliases: tuple[str, ...] = ()
    inside: bool = False  # only for those who are in the room now
    anywhere: bool = False  # also answered where no single group is meant; `group` is then where it was said
    discreet: bool = False  # nobody else may see that it was asked, nor any answer
    exports: bool = False  # makes files from the log, which takes long
    recorded: bool = True  # False: what is written in a direct room stays out of the records
    first: bool = False  # shown by `!help` alone; the others by `!help all`
    shown_to: Literal["all", "owner", "operator"] = "all"  # who sees it in `!help`, of those it is for
    deed: Deed | None = None  # the right that it takes in any case; `!help` shows it to those who have it
    by_reply: bool = False  # in a reply it is about that message, and its words name nobody
    wording: tuple[str, ...] = ()  # how the keys of refusals begin that are about how it was written

    @property
    def text_keys(self) -> tuple[str, ...]:
        """Return the keys of the texts that this command must have in each language."""
        own = (f"command.{self.name}.{part}" for part in ("name", "short", "usage", "example"))
        needed = (item for item in self.spec.split() if item[-1] not in "?*")
        return (*own, *(f"error.missing.{name}" for name in needed))

    @property
    def takes_person(self) -> bool:
        """Tell whether its first words may name a person."""
        return self.spec.removeprefix("case? ").startswith("user")

    def short(self, prefix: str) -> Line:
        """Return what it is for."""
        return line(f"command.{self.name}.short", command=Code(prefix + self.name))

    def how(self) -> tuple[Line, ...]:
        """Return how it is written, with an example."""
        return (
            line("help.usage", usage=Phrase(f"command.{self.name}.usage")),
            line("help.example", example=Phrase(f"command.{self.name}.example")),
            *((line("help.person"),) if self.takes_person else ()),
            *((line("help.everywhere"),) if "everywhere?" in self.spec.split() else ()),
        )


def discreet(call: Call, reply: Reply) -> Reply:
    """Make a reply that nobody else sees, and redact what asked for it, where possible."""
    gone = call.redaction() if call.here.purpose != "direct" else ()
    return replace(reply, alone=True, actions=(*reply.actions, *gone))


def answered(call: Call, reply: Reply) -> tuple[Action, ...]:
    """Return the answer as an action: in the room it was asked in, or to the person alone."""
    if not reply.lines:
        return ()
    if reply.alone and call.here.purpose != "direct":
        return (Tell(room=call.here.room, subject=call.caller, lines=reply.lines, alone=True),)
    if reply.private and call.here.purpose == "group":
        return (Tell(room=call.group.room, subject=call.caller, lines=reply.lines),)
    said, thread = said_under(call)
    if call.here.purpose != "desk" and isinstance(call.event, ReactionGiven):
        thread = None
    language = _language(call, reply)
    return (
        Say(room=call.here.room, lines=reply.lines, reply_to=said, thread=thread, to=call.caller, language=language),
    )


def said_under(call: Call) -> tuple[EventId | None, EventId | None]:
    """Return what an answer replies to, and the thread that it stands in.

    Nothing can reply to a reaction; the card it belongs to begins the thread.
    """
    match call.event:
        case ReactionGiven(target=target):
            return target, target
        case MessagePosted(event=event, thread=thread):
            return event, thread
    return None, None


def _language(call: Call, reply: Reply) -> str:
    """Return the language of an answer: the one just chosen, else in a desk its group's; "": the caller's."""
    chosen = [fact for fact in reply.facts if isinstance(fact, LanguageChosen)]
    if chosen:
        return chosen[-1].language or call.setup.language
    of_group = call.here.purpose == "desk" and call.group.purpose == "group"
    return (call.group.language or call.setup.language) if of_group else ""
