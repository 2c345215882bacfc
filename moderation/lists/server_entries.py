"""Entries about servers of lists whose entries may go into room ACLs (`acl = true`), and what follows from them.

Rules kept here:
- Such an entry means the server, not each of its people: one case in a community, and a denial in each room in which
  somebody of the server is, comes, is invited, or asks to come in. Entries about other servers are written nowhere.
- No ACL carries an address, a pattern that does not end in a whole name, or one that matches the server of the bot, of
  an operator, of somebody who runs the room, or of somebody whom `never` names. Such an entry means people, as in any
  other list.
- A hashed entry means the one server whose name has that hash.
- People decide where another list allows the server, where somebody on it is verified enough, runs another room, or is
  never touched, and where too many are on it: a list may have been taken over.

Pure. Left to others: which entries mean a server (`book.py`), who is on it (`bot/pipeline/listed_servers.py`), what is
written (`moderation/rooms/server_acl.py`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from moderation.model.builtin_rules import LISTED_SERVER, OWN_RULES
from moderation.model.context import CaseView, Context, RoomView
from moderation.model.facts import CaseOpened, Fact, SanctionStarted, ServerListed
from moderation.model.new_facts import decided_case
from moderation.policy import Policy
from moderation.rooms.server_acl import on_server, server_pattern
from moderation.values.errors import Refused
from moderation.values.ids import NO_USER, UserId
from moderation.values.power_levels import SERVER_ACL

from .book import ListedEntry
from .entries import Entry
from .matching import Watch, asks_people, is_never, weight_of

AGAINST = ("ban", "takedown")


@dataclass(frozen=True, slots=True)
class Denial:
    """An entry that a room's ACL can carry, and the server or pattern to be written for it."""

    pattern: str
    listed: ListedEntry


@dataclass(frozen=True, slots=True)
class ServerVerdict:
    """The consequence for one server in one room, by the entry that weighs most; `people` of the room are on it."""

    step: Literal["look", "propose", "apply"]
    denial: Denial
    watch: Watch
    people: int
    wide: bool = False  # whether more people are on it than a list may touch by itself

    @property
    def list(self) -> str:
        """The name of the list whose entry it is."""
        return self.watch.name


def denials_of(
    listed: Sequence[ListedEntry],
    server: str,
    watches: Mapping[str, Watch],
    room: RoomView,
    bot: UserId,
    policy: Policy,
) -> tuple[Denial, ...]:
    """Return the entries, of those that mean somebody on a server, for which a room's ACL can name it."""
    return tuple(_denials_of(listed, server, watches, room, bot, policy))


def _denials_of(
    listed: Sequence[ListedEntry],
    server: str,
    watches: Mapping[str, Watch],
    room: RoomView,
    bot: UserId,
    policy: Policy,
) -> Iterator[Denial]:
    for each in listed:
        watch = watches.get(each.list)
        if each.entry.kind != "server" or each.entry.advice not in AGAINST or watch is None or not watch.acl:
            continue
        pattern = pattern_of(each.entry, server)
        if pattern and watch.holds_in(room) and watch.heeds(each) and may_be_denied(pattern, room, bot, policy):
            yield Denial(pattern, each)


def pattern_of(entry: Entry, server: str) -> str:
    """Return the server or pattern that an ACL names for an entry which means `server`; "" if it may name none."""
    try:
        return server_pattern(server if entry.digest else entry.entity)
    except Refused:
        return ""


def may_be_denied(pattern: str, room: RoomView, bot: UserId, policy: Policy) -> bool:
    """Return whether a list may have a pattern written into a room's ACL, and the bot can write it."""
    if room.condition != "protected" or not room.power.can_send(bot, SERVER_ACL, state=True):
        return False
    spared = (bot, *map(UserId, policy.operators), *room.power.owners(), *room.power.managers())
    if any(on_server(spared, pattern)):
        return False
    servers = (glob.partition(":")[2].lower() for glob in policy.lists.never)
    return not any(may_meet(each, pattern) for each in servers if each)


def may_meet(one: str, other: str) -> bool:
    """Return whether some text fits both of two globs, which know ``*`` and ``?``."""
    row = [all(mark == "*" for mark in other[:end]) for end in range(len(other) + 1)]
    for sign in one:  # row[end]: whether some text fits what was read of `one`, and `other` up to `end`
        above, row = row, [sign == "*" and row[0]]
        for end, mark in enumerate(other, 1):
            if "*" in (sign, mark):
                row.append(above[end] or row[end - 1])
            else:
                row.append(above[end - 1] and (sign == mark or "?" in (sign, mark)))
    return row[-1]


def server_verdict(
    denials: Sequence[Denial],
    watches: Mapping[str, Watch],
    people: Sequence[Context],
    policy: Policy,
    *,
    count: int,
    allowed: bool,
    spared: Mapping[str, Collection[str]],
) -> ServerVerdict | None:
    """Return what follows for a server in a room, of whose people there, `count`, some are given.

    `allowed`: whether a list allows the server; `spared`: the servers that each list no longer touches.
    """
    against = [each for each in denials if not _is_spared(each, spared)]
    if not against:
        return None
    weightiest = max(against, key=lambda each: weight_of(each.listed, watches))
    watch, lists = watches[weightiest.listed.list], {each.listed.list for each in against}
    if watch.trust == "look":
        return ServerVerdict("look", weightiest, watch, count)
    agreed = watch.trust == "agree" and len(lists) >= watch.agree
    asks = allowed or any(asks_people(each, policy) or is_never(each, policy) for each in people)
    acts = (watch.trust == "apply" or agreed) and not asks
    return ServerVerdict("apply" if acts else "propose", weightiest, watch, count)


def _is_spared(denial: Denial, spared: Mapping[str, Collection[str]]) -> bool:
    return any(fnmatchcase(each, denial.pattern) for each in spared.get(denial.listed.list, ()))


def facts_of_server(
    found: ServerVerdict, room: RoomView, policy: Policy, *, n: int, now_ms: int, on: int
) -> tuple[Fact, ...]:
    """Return the facts of a verdict that is more than a look. The match comes first, as in `matching.facts_of`."""
    assert found.step != "look"
    entry = found.denial.listed.entry
    listed = ServerListed(
        room=room.room,
        on=on,
        step=found.step,
        n=n,
        list=found.list,
        advice=entry.advice,
        people=found.people,
        server=found.denial.pattern,
        key=entry.key,
        author=entry.sender,
        reason=entry.reason,
    )
    if found.step == "apply":
        opened = decided_case(LISTED_SERVER, room.room, n, NO_USER, on=on, due=now_ms)
        return (listed, opened, denied(found.denial.pattern, room, policy, n=n, now_ms=now_ms, on=on))
    grade = OWN_RULES[LISTED_SERVER].grade
    opened = CaseOpened(
        room=room.room,
        on=on,
        n=n,
        rule=LISTED_SERVER,
        grade=grade,
        decide="manager",
        state="open",
        due=now_ms + policy.cases.deadlines.of(grade),
    )
    return (listed, opened)


def denied(pattern: str, room: RoomView, policy: Policy, *, n: int, now_ms: int, on: int) -> SanctionStarted:
    """Return the denial of a server in a room because a list says so."""
    return SanctionStarted(
        room=room.room,
        on=on,
        kind="server",
        until=now_ms + policy.lists.lasts,
        n=n,
        basis="list",
        rule=LISTED_SERVER,
        server=pattern,
    )


def denied_by_decision(case: CaseView, by: UserId, context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Return the denial of the server of a case that people uphold; nothing if it is denied in that room already."""
    there = [each for each in context.subject.in_force if each.kind == "server" and each.room == case.room]
    if not case.server or any(fnmatchcase(case.server, each.server) for each in there):
        return ()
    return (
        SanctionStarted(
            room=case.room,
            on=on,
            kind="server",
            until=context.now_ms + policy.lists.lasts,
            n=case.n,
            basis="decision",
            rule=LISTED_SERVER,
            by=by,
            server=case.server,
        ),
    )
