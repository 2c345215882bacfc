"""How far a word reaches: a consequence reaches as far as the word of who decided it. docs/model.md, "Reach".

This is the one place where that is decided. A reach is a word that is recorded with what follows: ``""``, the whole
deployment (so all that was recorded before there were communities keeps its meaning), or the name of a community.

Rules kept here: what an operator's rule finds by itself, and what an operator decides, reaches the deployment; what the
people of a room decide, be it on a rule of the operator's, reaches their community, until an operator confirms it; so
does what it costs them to neglect that room. A room's own rule decides nothing by itself that counts
(`moderation/judge/judge.py`). A community is named by the operator, by its rooms or by a space that lists them; a room
that is in none is one of its own, called as its code is, which no other can be: names are of small letters. What was
decided in a room always counts in that room, however the communities are named later. Pure. Left to others: which
entries and sanctions there are.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from moderation.policy import CommunitySettings, Policy
from moderation.values.ids import RoomId, UserId

from .builtin_rules import ledger_of

DEPLOYMENT = ""  # the reach of the operator's word


class Place(Protocol):
    """A room, and the community it is in."""

    @property
    def room(self) -> RoomId: ...

    @property
    def community(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of which nothing more need be known."""

    room: RoomId
    community: str


def community_of(settings: CommunitySettings, *names: str, spaces: Collection[str] = ()) -> str:
    """The community of the room with these names, its id and last its code, that these `spaces` list."""
    for each in settings.named:
        if _matches(each.rooms, names) or each.space in spaces:
            return each.name
    return DEPLOYMENT if settings.default == "deployment" else names[-1]


def is_one_room(reach: str) -> bool:
    """Whether a reach is a room that is in no named community: then it is the room's code."""
    return reach[:1].isupper()


def reach_of(by: UserId | str, rule: str, community: str, policy: Policy) -> str:
    """How far it reaches what `by` decided on `rule` in a room of this community; `by` "": the bot found it itself."""
    if by:
        return DEPLOYMENT if by in policy.operators else community
    # A duty is one towards the people of a room.
    return community if ledger_of(rule) == "standing" else DEPLOYMENT


def counts_in(place: Place, reach: str, made_in: RoomId | None) -> bool:
    """Whether something of this reach, decided in the room `made_in`, counts in a place."""
    return reach in (DEPLOYMENT, place.community) or made_in == place.room


def holds_in(place: Place, room: RoomId | None, reach: str) -> bool:
    """Whether a measure holds in a place: everywhere (no room), in one room, or in all rooms of its community."""
    return room is None or room == place.room or (reach != DEPLOYMENT and reach == place.community)


def _matches(globs: Iterable[str], names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs for name in names)
