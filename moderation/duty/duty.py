"""Duty in a room: who is on duty, who is asked for a decision, and to whom it is passed on. docs/responsibility.md.

Rules kept here:
- Nobody is asked about themselves, nor about a decision of their own, by any of their accounts.
- Nobody is on duty who has not accepted it: a level given by somebody else is an offer.
- A person who was asked about as many cases in a day as one can decide is asked about no more; these go to the
  operator.
- People who are away, or outside their hours in the roster, are not on duty.
- A person who is not in the desk is told of a case in a direct room.
- If a room has no manager on duty, its owner is on duty; above the owner is the operator, and nobody is above the
  operator.
- People who lost their rights, or left, are no longer asked.

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
    """The people who run a room now: only those who are in it and whose rights are not suspended."""

    owners: tuple[UserId, ...] = ()
    managers: tuple[UserId, ...] = ()  # without the owners
    operators: tuple[UserId, ...] = ()
    away: frozenset[UserId] = frozenset()
    roster: Mapping[UserId, str] = field(default_factory=dict)  # weekly hours; empty: everybody, always
    desk: frozenset[UserId] = frozenset()  # those who are in the room with the cards
    offered: frozenset[UserId] = frozenset()  # those who were given a level and have not accepted duty by it
    full: frozenset[UserId] = frozenset()  # those who were asked about as many cases today as one person can decide
    nobody_ms: int = 0  # when the owner was last charged because nobody was on duty; 0: never
    suspended_owners: tuple[UserId, ...] = ()  # those who still own it, though their rights are suspended
    accounts: Mapping[UserId, frozenset[UserId]] = field(default_factory=dict)  # for those of them who have several

    def can_be_asked(self, user: UserId) -> bool:
        """Return whether somebody who runs the room is not away and has accepted duty."""
        return user not in self.away and user not in self.offered

    def accounts_of(self, user: UserId) -> frozenset[UserId]:
        """Return all accounts of somebody who runs the room."""
        return self.accounts.get(user, frozenset({user}))

    def is_any(self, user: UserId, others: Collection[UserId]) -> bool:
        """Return whether somebody who runs the room is, by any of their accounts, one of `others`."""
        return not self.accounts_of(user).isdisjoint(others)

    def each_once(self, users: Iterable[UserId]) -> tuple[UserId, ...]:
        """Return the first account of every person among those who run the room."""
        found: list[UserId] = []
        for user in users:
            if not self.is_any(user, found):
                found.append(user)
        return tuple(found)


def on_duty(duty: Duty, now_ms: int) -> tuple[UserId, ...]:
    """Return managers on duty at `now_ms`, with owners in the roster; if there are none, owners who are not away."""
    taking_turns = (*duty.managers, *(user for user in duty.owners if user in duty.roster))
    managers = tuple(user for user in taking_turns if _present(user, duty, now_ms))
    return managers or owners_there(duty)


def owners_there(duty: Duty) -> tuple[UserId, ...]:
    """Return the owners who can be asked."""
    return tuple(filter(duty.can_be_asked, duty.owners))


def candidates(level: Asked, duty: Duty, now_ms: int) -> tuple[UserId, ...]:
    """Return the people who can be asked at a level."""
    if level == "managers":
        return on_duty(duty, now_ms)
    if level == "owner":
        return owners_there(duty)
    return duty.operators


def first_to_ask(
    lowest: Asked, duty: Duty, now_ms: int, *, without: frozenset[UserId] = frozenset()
) -> tuple[Asked, tuple[UserId, ...]]:
    """Return the first level from `lowest` up that has somebody other than `without`, and those people.

    The operator is asked even if none is named: then the case waits at the command line.
    """
    for level in LEVELS[LEVELS.index(lowest) : -1]:
        could = tuple(user for user in candidates(level, duty, now_ms) if not duty.is_any(user, without))
        if asked := tuple(user for user in could if not duty.is_any(user, duty.full)):
            return level, asked
        if could:
            break
    return "operator", tuple(user for user in duty.operators if not duty.is_any(user, without))


def next_level(level: Asked) -> Asked:
    """Return the level to which a case goes after `level`."""
    return LEVELS[min(LEVELS.index(level) + 1, len(LEVELS) - 1)]


def how_told(user: UserId, level: Asked, duty: Duty) -> How:
    """Return how somebody who is asked at a level is told."""
    return "word" if level == "managers" and user not in duty.desk else "card"


def can_act(duty: Duty) -> frozenset[UserId]:
    """Return everybody in the room who can act there."""
    return frozenset((*duty.owners, *duty.managers))


def _present(user: UserId, duty: Duty, now_ms: int) -> bool:
    if not duty.can_be_asked(user):
        return False
    return not duty.roster or (user in duty.roster and covers(duty.roster[user], now_ms))
