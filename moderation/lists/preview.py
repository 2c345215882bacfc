"""A policy list before it is trusted: what it says, who wrote it, and whom of our people it would touch.

Pure. Left to others: reading the list and the people (`bot/pipeline/list_preview.py`).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from moderation.duty.responsibility import role
from moderation.model.context import Context
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId, server_of

from .book import ListedEntry
from .entries import Entry, Kind
from .matching import Watch, is_verified_enough, verdict
from .server_entries import denials_of

Fate = Literal["apply", "propose", "look", "spared", "server", "exempt"]


@dataclass(frozen=True, slots=True)
class Touched:
    """Somebody of ours in one room whom entries mean, and what would follow for them.

    "server": nothing, because the entry means their server (`server_entries.py`); "exempt": nothing, because no entry
    touches such a person here.
    """

    room: RoomId
    user: UserId
    fate: Fate
    keys: tuple[str, ...]  # of the entries that mean many: globs and servers
    manages: bool = False  # runs this room or another one
    verified: bool = False  # enough that no list acts by itself


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who wrote entries: how many, and when the last one."""

    by: UserId
    entries: int
    at: int


def touched(
    listed: Sequence[ListedEntry], watch: Watch, context: Context, policy: Policy, spared: Collection[str]
) -> Touched:
    """Return what would follow for `context.subject` in `context.room` by this list alone."""
    watches, user, bot = {watch.name: watch}, context.subject.user, context.bot
    denials = denials_of(listed, server_of(user), watches, room=context.room, bot=bot, policy=policy)
    of_server = {each.listed for each in denials}
    means = [each for each in listed if each not in of_server]
    found = verdict(means, watches, context, policy, frozenset(spared))
    other: Fate = "server" if of_server else "spared" if watch.name in spared else "exempt"
    wide = tuple(each.entry.shown for each in listed if each.entry.is_glob or each.entry.kind == "server")
    fate = found.step if found else other
    manages = bool(context.subject.manages) or role(context.subject.user, context.room) != "member"
    verified = is_verified_enough(context, policy)
    return Touched(context.room.room, context.subject.user, fate, wide, manages, verified)


def kinds_of(entries: Sequence[Entry]) -> dict[Kind, int]:
    """Count the entries by what they are about."""
    return dict(sorted(Counter(each.kind for each in entries).items()))


def authors_of(entries: Sequence[Entry]) -> tuple[Author, ...]:
    """Return who wrote the entries, those with most first."""
    counts, last = Counter(each.sender for each in entries), dict[UserId, int]()
    for each in entries:
        last[each.sender] = max(each.at_ms, last.get(each.sender, 0))
    return tuple(Author(by, count, last[by]) for by, count in counts.most_common())


def widest_of(people: Sequence[Touched]) -> tuple[tuple[str, int], ...]:
    """Return the globs and servers by how many people of ours they mean, those with most first."""
    of_person: dict[UserId, set[str]] = {}
    for each in people:
        of_person.setdefault(each.user, set()).update(each.keys)
    return tuple(Counter(key for keys in of_person.values() for key in sorted(keys)).most_common())
