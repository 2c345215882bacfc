"""The rules for shared desks: the rooms that share one, the people in it, and when the rooms part.

Rules kept here:
- Rooms share a desk only if the same people own and run them; their owners or the operator can always have two.
- Somebody comes into a desk only with a right in every room whose cards were ever shown there.
- Nothing about a room is said in a shared desk while somebody is there who has no right in that room.
- If the people of some rooms are no longer the same, the room that came first keeps the desk, with all that agree with
  it; the others get one of their own.

Pure. Left to others: reading who has which right (`storage/queries/desks.py`), carrying it out (`bot/effects/desk.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from moderation.values.durations import MS_PER
from moderation.values.ids import GroupCode, RoomId, UserId

# How long the rooms of a desk may differ before they part: a change is often made in one room after the other.
SETTLE_MS = 10 * MS_PER["m"]

MOST_ROOMS = 20  # that share a desk

Obstacle = Literal["here", "owners", "people", "unsettled", "history", "full"]


@dataclass(frozen=True, slots=True)
class Staff:
    """The owners and managers of one room.

    `people` are all who are in it or on their way (invited, or not yet come after an upgrade), `joined` those in it.
    """

    room: RoomId
    owners: frozenset[UserId]
    people: frozenset[UserId]
    joined: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class DeskView:
    """A desk, and who runs the rooms whose cards it shows or has shown, in the order in which these came."""

    room: RoomId
    code: GroupCode
    users: tuple[Staff, ...]
    former: tuple[Staff, ...] = ()
    joined: frozenset[UserId] = frozenset()  # people in the desk, without the bot
    invited: frozenset[UserId] = frozenset()

    @property
    def is_shared(self) -> bool:
        """True if it shows cards of more than one room."""
        return len(self.users) > 1

    @property
    def was_shared(self) -> bool:
        """True if cards of more than one room were ever shown in it."""
        return len(self.users) + len(self.former) > 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes to a desk: the rooms that keep it, and the people to invite and to remove."""

    keep: tuple[RoomId, ...]
    invite: tuple[UserId, ...]
    remove: tuple[UserId, ...]


def plan(desk: DeskView) -> Plan:
    """Return which rooms keep the desk and who should be in it."""
    if not desk.users:
        return Plan((), (), ())
    fitting = [staff for staff in desk.users if _fits(desk, staff)]
    base = fitting[0] if fitting else desk.users[0]
    every = (*desk.users, *desk.former)
    stay = (desk.joined & base.people) | (desk.invited & _all_of(staff.people for staff in every))
    return Plan(
        keep=tuple(staff.room for staff in fitting if staff.people == base.people),
        invite=tuple(sorted(base.joined - desk.joined - desk.invited)) if fitting else (),
        remove=tuple(sorted((desk.joined | desk.invited) - stay)),
    )


def may_show(desk: DeskView, room: RoomId) -> bool:
    """Return whether something about a room may be said in the desk now: everybody there has a right in that room.

    That holds for a room that the bot has left, too: its last cases are still to be decided.
    """
    there = desk.joined | desk.invited if desk.was_shared else frozenset()
    return any(staff.room == room and there <= staff.people for staff in (*desk.users, *desk.former))


def obstacle(desk: DeskView, staff: Staff) -> Obstacle | None:
    """Return why a room cannot use the desk, or None if it can."""
    if any(each.room == staff.room for each in desk.users):
        return "here"
    if not desk.users or len(plan(desk).keep) < len(desk.users):
        return "unsettled"
    base = desk.users[0]
    if not staff.owners or staff.owners != base.owners:
        return "owners"
    if not staff.joined or (staff.people, staff.joined) != (base.people, base.joined):
        return "people"
    if not _fits(desk, staff):
        return "history"
    return "full" if len(desk.users) >= MOST_ROOMS else None


def _fits(desk: DeskView, staff: Staff) -> bool:
    """Return whether all who run a room are in the desk, or may come into it."""
    return staff.joined <= desk.joined | _all_of(each.joined for each in (*desk.users, *desk.former))


def _all_of(sets: Iterable[frozenset[UserId]]) -> frozenset[UserId]:
    first, *others = sets
    return first.intersection(*others)
