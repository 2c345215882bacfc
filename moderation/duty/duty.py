"""Who is on duty in a room, who is asked for a decision, and whom it is passed on to. docs/responsibility.md.

Rules kept here: nobody is asked about themselves, nor about a decision of their own, whichever of their accounts it
was; nobody is on duty who has not taken it on: a level that somebody else gives is an offer; who was asked about as
many cases in a day as one can decide is asked about no more, and these go to the operator; whoever is away, or outside
the hours they stand in the roster with, is not on duty; who is not in the desk is told of a case in a direct room;
where a room has no manager on duty its owner is; above the owner stands the operator, above whom stands nobody. People
who lost their rights, or left, are not asked any more.
Left to others: reading all this (`storage/queries/duty.py`), deadlines (`moderation/cases/deadlines.py`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from moderation.model.facts import Asked
from moderation.values.ids import UserId

from .hours import covers

How = Literal["card", "word"]
LEVELS: tuple[Asked, ...] = ("managers", "owner", "operator")


@dataclass(frozen=True, slots=True)
class Duty:
    """Who runs a room now. Only those who are in it, and whose rights are not suspended."""

    owners: tuple[UserId, ...] = ()
    managers: tuple[UserId, ...] = ()  # without the owners
    operators: tuple[UserId, ...] = ()
    away: frozenset[UserId] = frozenset()
    roster: Mapping[UserId, str] = field(default_factory=dict)  # weekly hours; empty: everybody, always
    desk: frozenset[UserId] = frozenset()  # who is in the room where the cards are
    offered: frozenset[UserId] = frozenset()  # who was given a level, and has taken on no duty by it
    full: frozenset[UserId] = frozenset()  # who was asked about as many cases today as one person can decide
    nobody_ms: int = 0  # when it last cost the owner that nobody was on duty; 0: never
    suspended_owners: tuple[UserId, ...] = ()  # who own it still, though they have no say in it now
    accounts: Mapping[UserId, frozenset[UserId]] = field(default_factory=dict)  # of those of them who have several

    def accounts_of(self, user: UserId) -> frozenset[UserId]:
        """All accounts of somebody who runs the room."""
        return self.accounts.get(user, frozenset({user}))

    def is_any(self, user: UserId, others: Collection[UserId]) -> bool:
        """Whether somebody who runs the room is, by whichever account, one of `others`."""
        return not self.accounts_of(user).isdisjoint(others)

    def each_once(self, users: Iterable[UserId]) -> tuple[UserId, ...]:
        """The first account of every person among those who run the room."""
        found: list[UserId] = []
        for user in users:
            if not self.is_any(user, found):
                found.append(user)
        return tuple(found)


def on_duty(duty: Duty, now_ms: int) -> tuple[UserId, ...]:
    """The managers on duty at `now_ms`, and owners in the roster; where there is none, the owners who are not away."""
    taking_turns = (*duty.managers, *(user for user in duty.owners if user in duty.roster))
    managers = tuple(user for user in taking_turns if _present(user, duty, now_ms))
    return managers or owners_there(duty)


def owners_there(duty: Duty) -> tuple[UserId, ...]:
    """The owners who can be asked."""
    return tuple(user for user in duty.owners if user not in duty.away and user not in duty.offered)


def candidates(level: Asked, duty: Duty, now_ms: int) -> tuple[UserId, ...]:
    """Who can be asked at a level."""
    if level == "managers":
        return on_duty(duty, now_ms)
    if level == "owner":
        return owners_there(duty)
    return duty.operators


def ask(
    lowest: Asked, duty: Duty, now_ms: int, *, without: frozenset[UserId] = frozenset()
) -> tuple[Asked, tuple[UserId, ...]]:
    """The first level from `lowest` up that has somebody else than `without`, and who that is.

    The operator is asked even where none is named: then the command line is where it waits.
    """
    for level in LEVELS[LEVELS.index(lowest) : -1]:
        could = tuple(user for user in candidates(level, duty, now_ms) if not duty.is_any(user, without))
        if asked := tuple(user for user in could if not duty.is_any(user, duty.full)):
            return level, asked
        if could:
            break
    return "operator", tuple(user for user in duty.operators if not duty.is_any(user, without))


def above(level: Asked) -> Asked:
    """Whom a case goes to after `level`."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]


def how_told(user: UserId, level: Asked, duty: Duty) -> How:
    """Return how somebody who is asked at a level learns of it."""
    return "word" if level == "managers" and user not in duty.desk else "card"


def can_act(duty: Duty) -> frozenset[UserId]:
    """Everybody in the room who can act there."""
    return frozenset((*duty.owners, *duty.managers))


def _present(user: UserId, duty: Duty, now_ms: int) -> bool:
    if user in duty.away or user in duty.offered:
        return False
    return not duty.roster or (user in duty.roster and covers(duty.roster[user], now_ms))
