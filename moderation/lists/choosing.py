"""The choice of policy lists in chat: who may choose how much for a room, and how much may be chosen in all.

Rules kept here:
- The operator says how far managers, and how far owners, may trust a list. Operators may trust it as far as they want.
- A list that bans is chosen, and ended, by people who could do that by hand.
- A list counts in the whole community if the person who chose it may choose it in each of its rooms, else in the one
  room. An operator's counts everywhere.
- A list belongs to the room, as its own rules do: it stays when the person who chose it runs the room no longer, and
  those who do may end it.
- A list is looked at first: what is confirmed is one state of it, known by its SHA-256.

Pure. Left to others: reading a list and comparing it (`bot/effects/choose_list.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moderation.duty.responsibility import is_operator, require, role
from moderation.model.context import RoomView
from moderation.model.reach import DEPLOYMENT
from moderation.policy import Choice, Policy, Trust
from moderation.values.durations import DAY_MS, HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId

from .entries import Entry
from .matching import TRUSTS, Watch

CONFIRM_WITHIN_MS = DAY_MS  # after a preview; then the bot leaves the list's room
PREVIEWS_WITHIN_MS = HOUR_MS
MOST_PREVIEWS = 5  # of one person within that time
MOST_PREVIEWS_OF_ROOM = 10  # likewise
MOST_ENTERED = 10  # rooms in which the bot is at once for previews alone
MOST_ENTERED_OF_ROOM = 3  # of these for one group
MOST_LISTS = 5  # that people chose for one room
MOST_ENTRIES = 50_000  # of all lists that people chose for one room
MOST_ENTRIES_IN_ALL = 200_000  # of all lists that people chose
MOST_GLOBS = 500  # likewise; so many hostile ones cost 2.5 ms for each person who comes (measured)
MOST_GLOBS_IN_ALL = 2_000
MOST_CASES = 100  # that a list may bring at once where it is chosen


def most_trusted(actor: UserId, room: RoomView, policy: Policy) -> Choice:
    """Return how far somebody may trust a list in a room."""
    if is_operator(actor, policy):
        return "apply"
    mine = role(actor, room)
    if mine == "member":
        return "none"
    return policy.lists.owners if mine == "owner" else policy.lists.managers


def require_chooser(actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless somebody may choose any list for a room."""
    if most_trusted(actor, room, policy) == "none":
        raise Refused("error.list.not-chosen", room=room.room)


def require_trust(trust: Trust, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless somebody may trust a list so far in a room, or end one that is trusted so far."""
    require_chooser(actor, room, policy)
    most = most_trusted(actor, room, policy)
    if most == "none" or TRUSTS.index(trust) > TRUSTS.index(most):
        raise Refused(f"error.list.most-{most}", room=room.room)
    if trust in ("agree", "apply"):
        require("ban", actor, room, policy)


def may_trust(trust: Trust, actor: UserId, room: RoomView, policy: Policy) -> bool:
    """Return whether somebody may trust a list so far in a room."""
    try:
        require_trust(trust, actor, room, policy)
    except Refused:
        return False
    return True


def widest_reach(trust: Trust, actor: UserId, room: RoomView, rooms: Iterable[RoomView], policy: Policy) -> str:
    """Return how far a list counts that somebody trusts so far in a room; `rooms`: all that the bot serves."""
    if is_operator(actor, policy):
        return DEPLOYMENT
    together = [each for each in rooms if each.community == room.community]
    in_all = room.community != DEPLOYMENT and all(may_trust(trust, actor, each, policy) for each in together)
    return room.community if in_all else room.code


def reach_as_shown(shown: str, may: str, room: RoomView) -> str:
    """Return how far a list counts that was shown for one reach, and may be chosen for another: as both allow."""
    if may == shown:
        return may
    widths = [DEPLOYMENT, room.community, room.code]
    known = [each if each in widths else room.code for each in (shown, may)]
    return max(known, key=widths.index)


@dataclass(frozen=True, slots=True)
class ListSize:
    """A list that somebody chose: its name, its room, the group it was chosen for, its entries, its patterns."""

    list: str
    list_room: RoomId
    in_chat: bool
    room: RoomId | None
    entries: int
    globs: int


def size_of(name: str, room: RoomId | None, entries: Sequence[Entry]) -> ListSize:
    """Return what counts for the limits of a list that says this; `room`: the group for which it is chosen."""
    return ListSize(name, RoomId(""), True, room, len(entries), sum(each.is_glob for each in entries))


def require_place(name: str, list_room: RoomId, room: RoomView, known: Sequence[ListSize], policy: Policy) -> None:
    """Raise `Refused` if a list can have no such name in a room, or the room has enough lists."""
    lists = policy.lists
    if name in {each.name for each in lists.watch} | {each.name for each in lists.publish}:
        raise Refused("error.list.name-operators", list=name)
    for each in known:
        if each.list == name and (each.list_room != list_room or each.room != room.room):
            raise Refused("error.list.taken", list=name)
    others = [each for each in known if each.in_chat and each.list != name]
    if sum(each.room == room.room for each in others) >= MOST_LISTS:
        raise Refused("error.list.many", limit=MOST_LISTS, room=room.room)


def require_size(wanted: ListSize, known: Sequence[ListSize]) -> None:
    """Raise `Refused` if a list is too long by itself, or together with those chosen before."""
    others = [each for each in known if each.in_chat and each.list != wanted.list]
    here = [wanted, *(each for each in others if each.room == wanted.room)]
    if (count := sum(each.entries for each in here)) > MOST_ENTRIES:
        raise Refused("error.list.long", count=count, limit=MOST_ENTRIES)
    if (count := sum(each.globs for each in here)) > MOST_GLOBS:
        raise Refused("error.list.globs", count=count, limit=MOST_GLOBS)
    if wanted.entries + sum(each.entries for each in others) > MOST_ENTRIES_IN_ALL:
        raise Refused("error.list.full")
    if wanted.globs + sum(each.globs for each in others) > MOST_GLOBS_IN_ALL:
        raise Refused("error.list.full")


def require_ending(name: str, watch: Watch | None, reach: str, actor: UserId, room: RoomView, policy: Policy) -> None:
    """Raise `Refused` unless somebody may end a list that people chose in chat (`watch`) and that counts in a room."""
    if watch is None or not watch.holds_in(room):
        raise Refused("error.list.unknown", list=name[:60])
    if reach == DEPLOYMENT and not is_operator(actor, policy):
        raise Refused("error.list.by-operator", list=name)
    require_trust(watch.trust, actor, room, policy)
    if watch.trust in ("agree", "apply"):
        require("unban", actor, room, policy)
