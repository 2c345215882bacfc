"""What a handler of actions is: what it works with, which actions it handles, and how it says what came of them.

Rules kept here:
- a handler declares the actions it handles (`handles`), so that no list elsewhere has to name its methods;
- every action has one handler (`by_action`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto.encrypting_client import SealedHomeserver
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.matrix_message import Speech
from moderation.model.actions import ACTIONS, Action, TellAbove
from moderation.model.facts import Fact
from moderation.policy import Policy
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Done:
    """What a handler did: its own facts, and what the action's record shall say."""

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    made: str = ""
    result: str = "done"
    code: str = "-"
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None  # written with it, in the same transaction
    after: Callable[[], Awaitable[None]] | None = None  # done once that is written; a crash may leave it out


class RetryLater(Exception):
    """The action cannot be done yet, for a reason that is not the homeserver's.

    It is tried `tries` times in all, with pauses that double from `first_ms` up to `last_ms`; then `given_up` is its
    outcome.
    """

    def __init__(self, why: str, given_up: Done, *, tries: int, first_ms: int, last_ms: int) -> None:
        super().__init__(why)
        self.given_up = given_up
        self.tries = tries
        self.first_ms = first_ms
        self.last_ms = last_ms


class PollAgain(Exception):
    """Nothing has come of the action yet, as was to be expected: look again after `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


Handler = Callable[[Action, str], Awaitable[Done]]  # an action, and the transaction id of its request
Handlers = Mapping[type[Action], Handler]


class Handles(Protocol):
    """A part that handles actions."""

    @property
    def handles(self) -> Handlers:
        """Return the actions it handles, each with the method that does."""


@dataclass(frozen=True, slots=True)
class Services:
    """What nearly every handler works with."""

    homeserver: SealedHomeserver
    database: Database
    pipeline: Pipeline
    speech: Speech
    clock: Clock
    policy: Policy
    prefix: str  # of commands, such as "!"


def by_action(*parts: Handles) -> Handlers:
    """Return the handler of every action. Raises ValueError if an action has none, or two."""
    found: dict[type[Action], Handler] = {}
    for part in parts:
        if twice := found.keys() & part.handles.keys():
            raise ValueError(f"handled twice: {sorted(each.NAME for each in twice)}")
        found |= part.handles
    if missing := set(ACTIONS.values()) - {TellAbove} - found.keys():  # `expand_recipients` puts others in its place
        raise ValueError(f"handled by nobody: {sorted(each.NAME for each in missing)}")
    return found
