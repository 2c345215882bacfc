"""The interface of handlers of actions: what they work with, which actions they handle, and their outcomes.

Rules kept here:
- A handler declares the actions it handles (`handles`), so that no list elsewhere has to name its methods.
- Every action has exactly one handler (`by_action`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto.encrypting_client import SealedHomeserver
from bot.matrix.errors import Forbidden
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.matrix_message import Speech
from moderation.model.actions.base import Action
from moderation.model.actions.registry import ACTIONS
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import ActionResult, Fact
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage.database.database import Database

_NEED_NO_INVITATION = ("join", "invite", "ban")  # memberships


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of an action: the handler's own facts, and what the action's record says."""

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    made: str = ""
    result: ActionResult = "done"
    code: str = "-"
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None  # run in the transaction that records it
    after: Callable[[], Awaitable[None]] | None = None  # run once that is written; a crash may leave it out


class RetryLater(Exception):
    """The action cannot be done yet, for a reason that is not the homeserver's.

    It is tried `tries` times in all, with pauses that double from `first_ms` up to `last_ms`; then `given_up` is its
    outcome (None: it is abandoned).
    """

    def __init__(self, why: str, given_up: Done | None = None, *, tries: int, first_ms: int, last_ms: int) -> None:
        super().__init__(why)
        self.given_up = given_up or Done(result="abandoned")
        self.tries = tries
        self.first_ms = first_ms
        self.last_ms = last_ms


class PollAgain(Exception):
    """The action has no result yet, as expected: it is tried again after `wait_ms`.

    With an `action`, part of it is done: that is what is left to do.
    """

    def __init__(self, wait_ms: int, action: Action | None = None) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms
        self.action = action


Handler = Callable[
    [Any, str], Awaitable[Done]
]  # an action of the handler's own class, the transaction id of its request
Handlers = Mapping[type[Action], Handler]


class Handles(Protocol):
    """A part of the bot that handles actions."""

    @property
    def handles(self) -> Handlers:
        """Return the actions that it handles, each with its method."""


@dataclass(frozen=True, slots=True)
class Services:
    """The objects that nearly every part of the bot works with."""

    homeserver: SealedHomeserver
    database: Database
    pipeline: Pipeline
    speech: Speech
    clock: Clock
    policy: Policy
    prefix: str  # of commands, such as "!"


class BotPart:
    """Base of the parts of the bot that work with the services."""

    def __init__(self, services: Services) -> None:
        self._homeserver = services.homeserver
        self._database = services.database
        self._pipeline = services.pipeline
        self._speech = services.speech
        self._clock = services.clock
        self._policy = services.policy
        self._prefix = services.prefix


class ActionHandler(BotPart):
    """Base of handlers that work with the services."""

    async def _membership(self, room: RoomId, user: UserId) -> object:
        """Ask the homeserver for somebody's membership of a room; None if they never had one."""
        return (await self._homeserver.state_event(room, "m.room.member", user) or {}).get("membership")

    async def _invite_unless_there(self, room: RoomId, user: UserId) -> bool:
        """Invite somebody unless they are in the room, invited or banned. Return whether they were invited.

        Raises `Forbidden`, but not for somebody who has come in or was banned meanwhile.
        """
        if await self._membership(room, user) in _NEED_NO_INVITATION:
            return False
        try:
            await self._homeserver.invite(room, user)
        except Forbidden:
            if await self._membership(room, user) not in _NEED_NO_INVITATION:
                raise
            return False
        return True


def by_action(*parts: Handles) -> Handlers:
    """Return the handler of every action. Raises ValueError if an action has none or two."""
    found: dict[type[Action], Handler] = {}
    for part in parts:
        if twice := found.keys() & part.handles.keys():
            raise ValueError(f"handled twice: {sorted(each.NAME for each in twice)}")
        found |= part.handles
    if missing := set(ACTIONS.values()) - {TellAbove} - found.keys():  # `expand_recipients` replaces `TellAbove`
        raise ValueError(f"handled by nobody: {sorted(each.NAME for each in missing)}")
    return found
