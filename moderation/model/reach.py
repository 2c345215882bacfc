"""The reach of a decision: consequences reach as far as the word of the person who decided. docs/model.md, "Reach".

This is the one place where that is decided. A reach is a word recorded with each consequence: ``""``, the whole
deployment (so everything recorded before there were communities keeps its meaning), or the name of a community.

Rules kept here:
- What an operator's rule finds without a person's decision, and what an operator decides, reaches the deployment.
- What the people of a room decide, even on a rule of the operator's, reaches their community, until an operator
  confirms it; so does what it costs them to neglect that room.
- A room's own rule alone decides nothing that counts (`moderation/judge/judge.py`).
- The operator names a community, by its rooms or by a space that lists them.
- A room in no community is a community of its own, named by the room's code, which no other name can equal: names have
  small letters.
- What was decided in a room always counts in that room, however the communities are named later.

Pure. Left to others: which entries and sanctions there are.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from moderation.policy import CommunitySettings, Policy
from moderation.values.ids import RoomId, UserId, is_named

from .builtin_rules import ledger_of

DEPLOYMENT = ""  # the reach of an operator's decision


class Place(Protocol):
    """A room, and the community it is in."""

    @property
    def room(self) -> RoomId: ...

    @property
    def community(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of which only room and community are known."""

    room: RoomId
    community: str


def community_of(settings: CommunitySettings, *names: str, spaces: Collection[str] = ()) -> str:
    """Return the community of a room by its names (its id, last its code) and the `spaces` that list it."""
    for each in settings.named:
        if is_named(each.rooms, *names) or not set(each.space).isdisjoint(spaces):
            return each.name
    return DEPLOYMENT if settings.default == "deployment" else names[-1]


def is_one_room(reach: str) -> bool:
    """Return whether a reach is a single room in no named community: then it is the room's code."""
    return reach[:1].isupper()


def reach_of(by: UserId | str, rule: str, community: str, policy: Policy) -> str:
    """Return the reach of what `by` decided on `rule` in a room of this community; `by` "": the bot found it."""
    if by:
        return DEPLOYMENT if by in policy.operators else community
    # Duties are owed to the people of a room.
    return community if ledger_of(rule) == "standing" else DEPLOYMENT


def counts_in(place: Place, reach: str, made_in: RoomId | None) -> bool:
    """Return whether something of this reach, decided in the room `made_in`, counts in a place."""
    return reach in (DEPLOYMENT, place.community) or made_in == place.room


def holds_in(place: Place, room: RoomId | None, reach: str) -> bool:
    """Return whether a measure holds in a place: everywhere (no room), in one room, or in its whole community."""
    return room is None or room == place.room or (reach != DEPLOYMENT and reach == place.community)
