"""Moves: what the people of a hostile room can do, and what unsuspecting people do there.

A move is data, and becomes an event when it is made: its case or message is chosen among those that exist then.
Left to others: which moves are made (`scenes.py`), their permitted consequences (`elsewhere.py`).
"""

from dataclasses import dataclass
from typing import Any

from moderation.values.events import Received
from tests.fuzz.door import BOT, HOUR_MS
from tests.fuzz.said import event_of, place_of
from tests.fuzz.world import ANN, GATED, MAX, OTHER, OTHER_MAX, OTHER_OWNER, OWNER, SOCK, World

HOSTILE = (OTHER_OWNER, OTHER_MAX, SOCK)
VICTIMS = (MAX, OWNER, ANN)  # of the group, and plain members of the hostile room


@dataclass(frozen=True)
class Says:
    """Somebody says something; `<case>` and `<message>` become a case of the hostile room and a link to a message."""

    who: str
    place: str
    body: str
    pick: int = 0
    more: tuple[tuple[str, Any], ...] = ()

    def made(self, world: World) -> Received:
        body = self.body.replace("<case>", str(_case(world, self.pick)))
        body = body.replace("<message>", f"https://matrix.to/#/{OTHER}/{_message(world, self.pick)}")
        content = {"msgtype": "m.text", "body": body, **dict(self.more)}
        return world.door.read(place_of(world, self.place, self.who), self.who, "m.room.message", content)


@dataclass(frozen=True)
class Presses:
    """Somebody puts a reaction under a message in the hostile room."""

    who: str
    key: str
    pick: int

    def made(self, world: World) -> Received:
        relation = {"rel_type": "m.annotation", "event_id": _message(world, self.pick), "key": self.key}
        return world.door.read(OTHER, self.who, "m.reaction", {"m.relates_to": relation})


@dataclass(frozen=True)
class Gives:
    """The owner of the hostile room gives somebody a level there."""

    user: str
    level: int

    def made(self, world: World) -> Received:
        levels = world.levels[OTHER]
        levels[self.user] = self.level
        users = {user: level for user, level in levels.items() if level} | {str(BOT): 100}
        return world.door.read(
            OTHER, OTHER_OWNER, "m.room.power_levels", {"users": users, "users_default": 0}, state_key=""
        )


@dataclass(frozen=True)
class Moves:
    """Somebody comes, goes, knocks, or is invited, removed or banned by somebody else."""

    by: str
    user: str
    place: str
    membership: str

    def made(self, world: World) -> Received:
        room = GATED if self.place == "gated" else place_of(world, self.place, self.by)
        return world.door.read(room, self.by, "m.room.member", {"membership": self.membership}, state_key=self.user)


@dataclass(frozen=True)
class Tries:
    """A hostile person gives any command or reaction, in any form, in one of their rooms."""

    step: tuple[str, str, str, str, int]

    def made(self, world: World) -> Received:
        return event_of(world, self.step)


@dataclass(frozen=True)
class Waits:
    """Time passes: all waiting messages are delivered, and nobody does anything."""

    hours: int

    @property
    def ms(self) -> int:
        return self.hours * HOUR_MS


Move = Says | Presses | Gives | Moves | Tries | Waits


def speaker(move: Move) -> str:
    """Return who makes a move."""
    if isinstance(move, Tries):
        return move.step[0]
    if isinstance(move, Gives):
        return OTHER_OWNER
    return "" if isinstance(move, Waits) else move.by if isinstance(move, Moves) else move.who


def _case(world: World, pick: int) -> int:
    """Return one of the hostile room's newest cases, or now and then one of another room."""
    own = [n for n, (room, _) in world.cases.items() if room == OTHER]
    foreign = [n for n, (room, _) in world.cases.items() if room != OTHER]
    if pick % 5 == 4 or not own:
        return foreign[pick % len(foreign)]
    return own[-1 - pick % min(len(own), 4)]


def _message(world: World, pick: int) -> str:
    """Return one of the newest messages there."""
    there = [event for room, event in world.messages if room == OTHER]
    return there[-1 - pick % min(len(there), 12)]
