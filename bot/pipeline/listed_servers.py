"""The consequences of entries about servers of lists whose entries may go into room ACLs.

Rules kept here:
- A server has one case for each list, as far as the word of its deciders reaches; a room denies it once somebody on it
  is there, comes, is invited, or asks to come in.
- Where more people would be shut out than a list may touch, that room has a case of its own, which waits.
- A denial by a list ends when no list says it any more, and when somebody who runs the room is on the server, unless
  people here decided it.

Left to others: the decisions (`moderation/lists/server_entries.py`), entries that mean people (`list_matches.py`),
writing the ACL (`bot/effects/server_acl.py`).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.book import Book, ListedEntry
from moderation.lists.matching import is_too_much
from moderation.lists.server_entries import (
    Denial,
    ServerVerdict,
    denials_of,
    denied,
    facts_of_server,
    server_verdict,
)
from moderation.model.actions.base import Action
from moderation.model.actions.telling import TellDesk
from moderation.model.context import CaseView, InForce, RoomView
from moderation.model.facts import Fact
from moderation.model.reach import counts_in, reach_of
from moderation.policy import Policy
from moderation.rooms.server_acl import MOST_SERVERS, on_server
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId, server_of
from moderation.values.notices import Code, line
from storage import queries

from .unit_of_work import Answer
from .view_cache import ViewCache
from .watched_lists import WatchedLists


@dataclass(frozen=True, slots=True)
class Gathering:
    """A room at a time, and who is there, is invited, or asks to come in."""

    room: RoomView
    people: Sequence[UserId]
    now_ms: int
    on: int = -1
    cases: int = 0  # opened by the same event before


class ListedServers:
    """The judgement of servers by the lists that are watched."""

    def __init__(self, knowledge: ViewCache, lists: WatchedLists, policy: Policy) -> None:
        self._knowledge = knowledge
        self._lists = lists
        self._policy = policy
        self._shown: set[tuple[str, RoomId, str]] = set()  # what a desk was told of, by which list, since the start

    def denials(self, listed: Sequence[ListedEntry], server: str, room: RoomView) -> tuple[Denial, ...]:
        """Return the entries, of those that mean somebody on a server, which mean the server itself in a room."""
        watches, bot = self._lists.watches, self._knowledge.bot
        return tuple(denials_of(listed, server, watches, room=room, bot=bot, policy=self._policy))

    async def came(self, db: AsyncConnection, place: Gathering, user: UserId, listed: Sequence[ListedEntry]) -> Answer:
        """Return what follows for the server of somebody who comes, if these entries mean them."""
        if (found := await self._verdict(db, place, user, listed)) is None:
            return Answer()
        lately = await queries.touched_by_lists(db, place.now_ms - DAY_MS)
        if self._is_too_much(found, len(place.people), found.people + lately.get(found.list, 0)):
            found = replace(found, step="propose" if found.step == "apply" else found.step, wide=True)
        return await self._answer(db, found, place)

    async def all_present(
        self, db: AsyncConnection, now_ms: int, there: Sequence[tuple[RoomId, UserId]]
    ) -> AsyncIterator[tuple[tuple[Fact, ...], tuple[Action, ...]]]:
        """Yield what follows for the servers of everybody who is there, one cause a server and room."""
        book = self._lists.book
        if book is None or not any(each.acl for each in self._lists.watches.values()):
            return
        found: list[tuple[Gathering, ServerVerdict]] = []
        for place, user, listed in await self._meant(db, book, there, now_ms):
            if (verdict := await self._verdict(db, place, user, listed)) is not None:
                found.append((place, verdict))
        lately = await queries.touched_by_lists(db, now_ms - DAY_MS)
        cautious = self._cautious(found, lately)
        for place, verdict in found:
            if verdict.list in cautious:
                step = "propose" if verdict.step == "apply" else verdict.step
                verdict = replace(verdict, step=step, wide=True)
            answer = await self._answer(db, verdict, place)
            if answer.facts or answer.actions:
                yield answer.facts, answer.actions

    async def _meant(
        self, db: AsyncConnection, book: Book, there: Sequence[tuple[RoomId, UserId]], now_ms: int
    ) -> list[tuple[Gathering, UserId, tuple[ListedEntry, ...]]]:
        """Return for each room the servers of its people that entries mean, by one person on each."""
        people, one = defaultdict[RoomId, list[UserId]](list), dict[tuple[RoomId, str], UserId]()
        for room_id, user in there:
            people[room_id].append(user)
            one.setdefault((room_id, server_of(user)), user)
        listed = await asyncio.to_thread(lambda: {each: book.match_server(each) for each in {s for _, s in one}})
        meant: list[tuple[Gathering, UserId, tuple[ListedEntry, ...]]] = []
        for (room_id, server), user in one.items():
            room = await self._knowledge.room(db, room_id) if listed[server] else None
            if room is not None and room.active:
                meant.append((Gathering(room, people[room_id], now_ms), user, listed[server]))
        return meant

    def _cautious(self, found: Iterable[tuple[Gathering, ServerVerdict]], lately: Mapping[str, int]) -> frozenset[str]:
        """Return the lists whose entries would shut out too many of our people to be applied without a word."""
        applied = [(place, each) for place, each in found if each.step == "apply"]
        touched = Counter[str]()
        for _, each in applied:
            touched[each.list] += each.people
        return frozenset(
            each.list
            for place, each in applied
            if self._is_too_much(each, len(place.people), touched[each.list] + lately.get(each.list, 0))
        )

    def _is_too_much(self, found: ServerVerdict, there: int, touched: int) -> bool:
        return is_too_much(touched, self._policy.lists.act_at_most, found.people, there)

    async def _verdict(
        self, db: AsyncConnection, place: Gathering, user: UserId, listed: Sequence[ListedEntry]
    ) -> ServerVerdict | None:
        denials = self.denials(listed, server_of(user), place.room)
        if not denials:
            return None
        on_it = {each for denial in denials for each in on_server(place.people, denial.pattern)} | {user}
        some = sorted(on_it)[: self._policy.lists.act_at_most + 1]  # of more, people decide anyway
        return server_verdict(
            denials,
            self._lists.watches,
            [await self._knowledge.context(db, place.room, each, place.now_ms) for each in some],
            self._policy,
            count=len(on_it),
            allowed=any(self._allows(each, place.room) for each in listed),
            spared=await queries.servers_spared(db, place.room),
        )

    def _allows(self, listed: ListedEntry, room: RoomView) -> bool:
        watch = self._lists.watches.get(listed.list)
        allows = listed.entry.kind == "server" and listed.entry.advice == "allow"
        return allows and watch is not None and watch.holds_in(room) and watch.heeds(listed)

    async def _answer(self, db: AsyncConnection, found: ServerVerdict, place: Gathering) -> Answer:
        if found.step == "look":
            return Answer((), self._look(found, place.room.room))
        room, pattern = place.room, found.denial.pattern
        held = [each for each in await queries.measures_of_room(db, room.room) if each.kind == "server"]
        if any(fnmatchcase(pattern, each.server) for each in held):
            return Answer()
        if len(held) >= MOST_SERVERS:
            full = line("desk.servers-not.full")
            return Answer((), (TellDesk(room=room.room, lines=(full,), once="servers full"),))
        case = await self._known(db, found, room)
        if case is None:
            n = self._knowledge.next_case + place.cases
            return Answer(facts_of_server(found, room, self._policy, n=n, now_ms=place.now_ms, on=place.on))
        if case.waits:
            return Answer()
        return Answer((denied(pattern, room, self._policy, n=case.n, now_ms=place.now_ms, on=place.on),))

    def _look(self, found: ServerVerdict, room: RoomId) -> tuple[Action, ...]:
        """Tell the desk of a server that a list names, once: else its writers could fill the desk."""
        shown, entry = (found.list, room, found.denial.pattern), found.denial.listed.entry
        if shown in self._shown:
            return ()
        self._shown.add(shown)
        server, reason = Code(found.denial.pattern), entry.reason or "-"
        said = line("lists.look-server", list=found.list, server=server, people=found.people, reason=reason)
        return (TellDesk(room=room, lines=(said,), once=f"list {found.list} {found.denial.pattern}"),)

    async def _known(self, db: AsyncConnection, found: ServerVerdict, room: RoomView) -> CaseView | None:
        """Return the case about a server and a list that counts in a room, if there is one."""
        known = await queries.listed_servers(db, server=found.denial.pattern, name=found.list)
        for listed in reversed(known):
            case = await counting_case(db, self._knowledge, self._policy, listed.n, room)
            if case is not None and (case.waits or case.room == room.room or not found.wide):
                return case
        return None

    # The end.

    async def ended(self, db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        """Yield the ends of denials that rest on entries which are gone, or may be in no ACL any more."""
        for held in await queries.denied_by_lists(db):
            if not await self.still_says(db, held) and not await people_said_so(db, held.n):
                yield (held.end("list", on=held.record),)

    async def still_says(self, db: AsyncConnection, held: InForce) -> bool:
        """Return whether a list still says what a denial rests on, or was not read yet."""
        book = self._lists.book
        if book is None or any(each.list in self._lists.unread for each in await queries.listed_servers(db, n=held.n)):
            return True
        room = await self._knowledge.room(db, held.room) if held.room else None
        if room is None:
            return False
        return bool(self.denials(book.match_server(held.server), held.server, room))


async def counting_case(
    db: AsyncConnection, knowledge: ViewCache, policy: Policy, n: int, room: RoomView
) -> CaseView | None:
    """Return a case about an entry if it counts in a room, and people did not dismiss it."""
    case = await queries.case_view(db, n)
    if case is None or case.outcome == "dismissed":  # by people whose word does not reach here
        return None
    home = await knowledge.room(db, case.room)
    community = home.community if home is not None else case.room
    reach = reach_of(case.by, case.rule, community, policy) if case.outcome else community
    return case if counts_in(room, reach, case.room) else None


async def people_said_so(db: AsyncConnection, n: int) -> bool:
    """Return whether people here have decided themselves what a list had decided."""
    case = await queries.case_view(db, n)
    return case is not None and bool(case.by) and case.outcome == "upheld"
