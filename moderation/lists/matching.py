"""The consequences for somebody whom entries of watched lists mean, by how far each list is trusted.

Rules kept here:
- An entry is somebody's assertion. What is done because of it is a case, with list and reason, that can be appealed.
- The bot, operators, those who run a room, and those whom `never` names are never touched. Nobody of the bot's own
  server is by an entry that may mean many: only by one with their own id.
- Somebody whom people here have spared is not touched by that list again.
- Where one watched list allows what another bans, for somebody who is verified enough, and for somebody who runs
  another room, people decide.
- What would touch too many within a day is proposed, never done: a list may have been taken over.
- A ban by a list ends by itself, and holds in one community: in the next one it follows when the person comes there.

Pure. Left to others: whom entries mean (`book.py`), when to look (`bot/sync/policy_lists.py`, `room_changes.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from moderation.duty.responsibility import can_be_removed, is_operator
from moderation.model.builtin_rules import LISTED
from moderation.model.context import Context, RoomView
from moderation.model.facts import Fact, ListMatched, SanctionStarted
from moderation.model.facts.cases import EXCERPT
from moderation.model.new_facts import decided_case, waiting_case
from moderation.model.reach import DEPLOYMENT, counts_in
from moderation.people.verification import level_reached
from moderation.policy import METHODS, Policy, Takedown, Trust
from moderation.values.ids import NO_EVENT, EventId, RoomId, UserId, server_of

from .book import ListedEntry
from .entries import Kind

TRUSTS: tuple[Trust, ...] = ("look", "propose", "agree", "apply")  # the more, the further


@dataclass(frozen=True, slots=True)
class Watch:
    """A list that is watched: how far it is trusted, where, and how far its bans reach."""

    name: str
    room: RoomId
    trust: Trust
    reach: str = DEPLOYMENT  # of the person who chose it (`moderation/model/reach.py`)
    home: RoomId | None = None  # the room that it was chosen for: it counts there, however communities are named later
    rooms: tuple[str, ...] = ("*",)  # globs, as in a rule
    agree: int = 2
    kinds: tuple[Kind, ...] = ("user", "server")
    acl: bool = False  # whether entries about servers go into room ACLs (`server_entries.py`)
    senders: tuple[str, ...] = ()  # globs over ids; (): everybody whom the list's room lets write
    takedown: Takedown = "ban"  # "redact": a ban by an entry that asks for it removes messages, too

    def holds_in(self, room: RoomView) -> bool:
        """Return whether it is watched for a room."""
        reaches = self.reach == room.code or counts_in(room, self.reach, self.home)
        return reaches and room.is_among(self.rooms)

    def heeds(self, listed: ListedEntry) -> bool:
        """Return whether an entry of this list counts."""
        entry = listed.entry
        if entry.kind not in self.kinds:
            return False
        return not self.senders or any(fnmatchcase(entry.sender, glob) for glob in self.senders)

    def removes(self, listed: ListedEntry) -> bool:
        """Return whether a ban by an entry of this list removes what the person wrote, too."""
        return self.takedown == "redact" and listed.entry.advice == "takedown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The consequence for one person in one room: `step`, by the entry that weighs most."""

    step: Literal["look", "propose", "apply"]
    listed: ListedEntry
    watch: Watch
    lists: tuple[str, ...]  # all that say so


def verdict(
    listed: Sequence[ListedEntry],
    watches: Mapping[str, Watch],
    context: Context,
    policy: Policy,
    spared: frozenset[str],
) -> Verdict | None:
    """Return what follows for `context.subject` in `context.room`; `spared`: the lists that no longer touch them."""
    here = [each for each in listed if _counts(each, watches, context.room)]
    against = [each for each in here if each.list not in spared and _is_against(each, context)]
    if not against or not _may_be_touched(context, policy):
        return None
    weightiest = max(against, key=lambda each: _with_removal(each, watches))
    watch, lists = watches[weightiest.list], tuple(dict.fromkeys(each.list for each in against))
    if watch.trust == "look":
        return Verdict("look", weightiest, watch, lists)
    agreed = watch.trust == "agree" and len(lists) >= watch.agree
    allowed = any(each.entry.advice == "allow" for each in here)
    acts = (watch.trust == "apply" or agreed) and not (allowed or asks_people(context, policy))
    return Verdict("apply" if acts else "propose", weightiest, watch, lists)


def facts_of(
    found: Verdict, context: Context, policy: Policy, *, on: int, event: EventId = NO_EVENT
) -> tuple[Fact, ...]:
    """Return the facts of a verdict that is more than a look.

    The match comes first: if only some of the facts are written before a stop, the others follow in the same case.
    """
    assert found.step != "look"
    n = context.next_case
    entry, user = found.listed.entry, context.subject.user
    matched = ListMatched(
        room=context.room.room,
        on=on,
        n=n,
        list=found.watch.name,
        key=entry.key,
        of=entry.kind,
        advice=entry.advice,
        step=found.step,
        subject=user,
        entity=entry.shown,
        author=entry.sender,
        reason=entry.reason,
    )
    said = f"{', '.join(found.lists)}: {entry.reason or entry.shown}"[:EXCERPT]
    if found.step == "propose":
        opened = waiting_case(context, policy, LISTED, "serious", on=on, event=event, excerpt=said)
        return (matched, opened)
    decided = decided_case(LISTED, context.room.room, n, user, on=on, event=event, due=context.now_ms)
    return (matched, replace(decided, excerpt=said), ban_by_list(found.watch, context, policy, n=n, on=on))


def ban_by_list(watch: Watch, context: Context, policy: Policy, *, n: int, on: int) -> SanctionStarted:
    """Return the ban of `context.subject` in the room's community, whose people may think otherwise than others."""
    together = watch.rooms == ("*",) and watch.reach in (DEPLOYMENT, context.room.community)
    reach = context.room.community if together else ""
    everywhere = together and reach == DEPLOYMENT
    return SanctionStarted(
        room=None if everywhere else context.room.room,
        on=on,
        kind="ban",
        until=context.now_ms + policy.lists.lasts,
        n=n,
        basis="list",
        rule=LISTED,
        reach=reach,
        subject=context.subject.user,
    )


def is_too_much(touched: int, at_most: int, glob_touches: int, people: int) -> bool:
    """Return whether a list touches so many of our people within a day that the next is proposed instead of done.

    `glob_touches` of the `people` of one room are meant by one glob.
    """
    return touched > at_most or (glob_touches > 1 and glob_touches * 20 > people)


def _counts(listed: ListedEntry, watches: Mapping[str, Watch], room: RoomView) -> bool:
    watch = watches.get(listed.list)
    return watch is not None and watch.holds_in(room) and watch.heeds(listed)


def weight_of(listed: ListedEntry, watches: Mapping[str, Watch]) -> tuple[int, bool, str]:
    """Return how much an entry weighs: by the trust in its list, then by who chose that."""
    watch = watches[listed.list]
    return TRUSTS.index(watch.trust), watch.reach == DEPLOYMENT, watch.name


def _with_removal(listed: ListedEntry, watches: Mapping[str, Watch]) -> tuple[int, bool, bool, str]:
    """Return the weight of an entry among those about people: of entries trusted alike, one that removes decides."""
    trust, by_operator, name = weight_of(listed, watches)
    return trust, by_operator, watches[listed.list].removes(listed), name


def asks_people(context: Context, policy: Policy) -> bool:
    """Return whether `context.subject` runs a room or is verified enough, so that people decide about them."""
    if context.subject.manages:
        return True
    return is_verified_enough(context, policy)


def is_verified_enough(context: Context, policy: Policy) -> bool:
    """Return whether `context.subject` is verified so well that no list acts by itself."""
    level = level_reached(context.subject.proofs, METHODS, context.room, context.now_ms)
    return level >= policy.lists.spare_verified


def _may_be_touched(context: Context, policy: Policy) -> bool:
    if not can_be_removed(context, policy):
        return False
    return not is_never(context, policy)


def _accounts(context: Context) -> frozenset[UserId]:
    """Return all accounts of the person: a ban holds for each of them."""
    return context.subject.accounts | {context.subject.user}


def _is_against(listed: ListedEntry, context: Context) -> bool:
    entry = listed.entry
    if entry.advice not in ("ban", "takedown"):
        return False
    means_one = entry.kind == "user" and not entry.is_glob
    return means_one or all(server_of(account) != server_of(context.bot) for account in _accounts(context))


def is_never(context: Context, policy: Policy) -> bool:
    """Return whether `context.subject` is an operator or named by `never`, by any account: no entry touches them."""
    globs = [glob.lower() for glob in policy.lists.never]
    accounts = _accounts(context)
    return any(is_operator(each, policy) or any(fnmatchcase(each.lower(), glob) for glob in globs) for each in accounts)
