"""The consequences of watched lists for people: when they come, and when the lists have changed.

Rules kept here:
- One person and one list have one case, in however many rooms they are, as far as the word of its deciders reaches.
- What touches too many of our people within a day is proposed, not done (`moderation/lists/matching.py`).
- Of whom a list names that is only looked at, a desk is told once a list, and again after a start; of `MOST_LOOKS`
  people in a day at most.
- A ban by a list ends when no list says it any more, unless people here decided it.

Left to others: reading lists (`bot/sync/policy_lists.py`), the decisions (`moderation/lists/matching.py`).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.book import Book, ListedEntry
from moderation.lists.entries import PolicyList
from moderation.lists.matching import Verdict, ban_by_list, facts_of, is_too_much, verdict
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import TellDesk
from moderation.model.context import CaseView, Context, InForce, RoomView
from moderation.model.facts import CaseOpened, Fact
from moderation.policy import Policy
from moderation.values.durations import DAY_MS
from moderation.values.ids import NO_EVENT, EventId, RoomId, UserId, server_of
from moderation.values.notices import Who, line
from storage import queries
from storage.queries import ListMatch

from .listed_servers import Gathering, ListedServers, counting_case, people_said_so
from .unit_of_work import Answer
from .view_cache import ViewCache
from .watched_lists import WatchedLists

MOST_LOOKS = 20  # people of whom a desk is told in a day, of one list that is only looked at


@dataclass(frozen=True, slots=True)
class Came:
    """Somebody who is in a room, comes, is invited, or asks to come in; and the event that says so."""

    room: RoomView
    user: UserId
    at_ms: int
    on: int = -1
    event: EventId = NO_EVENT
    cases: int = 0  # opened by the same event before


class ListMatching:
    """The judgement of people by the lists that are watched."""

    def __init__(self, knowledge: ViewCache, lists: WatchedLists, policy: Policy) -> None:
        self._knowledge = knowledge
        self._lists = lists
        self._policy = policy
        self._servers = ListedServers(knowledge, lists, policy)
        self._shown: set[tuple[str, RoomId, UserId]] = set()  # whom a desk was told of, by which list, since the start
        self._looks: dict[tuple[str, RoomId], list[int]] = {}  # when (ms) it was told of somebody in the last day

    def means(self, user: UserId) -> tuple[ListedEntry, ...]:
        """Return the entries that mean somebody who has just come into a room."""
        return self._lists.match(user)

    async def came(self, db: AsyncConnection, came: Came, listed: Sequence[ListedEntry]) -> Answer:
        """Return what follows if these entries mean somebody who comes, is invited, or asks to come in.

        Some of them may mean the server of that person instead.
        """
        there = await self._there(db, came) if any(map(_means_many, listed)) else frozenset()
        person = await self._person_came(db, came, listed, there)
        if all(each.entry.kind != "server" for each in listed):
            return person
        cases = came.cases + sum(isinstance(fact, CaseOpened) for fact in person.facts)
        place = Gathering(came.room, sorted(there), came.at_ms, came.on, cases)
        server = await self._servers.came(db, place, came.user, listed)
        return Answer((*person.facts, *server.facts), (*person.actions, *server.actions))

    async def _there(self, db: AsyncConnection, came: Came) -> frozenset[UserId]:
        """Return who is in the room, is invited, or asks to come in, with the person who comes."""
        members = await queries.memberships(db, came.room.room)
        return frozenset(user for user, how in members.items() if how in ("join", "invite", "knock")) | {came.user}

    async def _person_came(
        self, db: AsyncConnection, came: Came, listed: Sequence[ListedEntry], there: frozenset[UserId]
    ) -> Answer:
        if (found := await self._verdict(db, came, listed)) is None:
            return Answer()
        if found.step == "look":
            return Answer((), self._look(found, came))
        lately = await queries.touched_by_lists(db, came.at_ms - DAY_MS)
        touched, at_most = 1 + lately.get(found.listed.list, 0), self._policy.lists.act_at_most
        if is_too_much(touched, at_most, how_many(found.listed, there), len(there)):
            found = replace(found, step="propose")
        return Answer(await self._facts(db, found, came))

    async def all_present(
        self, db: AsyncConnection, now_ms: int
    ) -> AsyncIterator[tuple[tuple[Fact, ...], tuple[Action, ...]]]:
        """Yield what follows for everybody whom the lists mean now, one cause a person."""
        book = self._lists.book
        if book is None:
            return
        there = await queries.people_present(db)
        verdicts: list[tuple[Came, Verdict]] = []
        for (room_id, user), listed in (await asyncio.to_thread(meant, book, there)).items():
            room = await self._knowledge.room(db, room_id)
            if room is None or not room.active:
                continue
            came = Came(room, user, now_ms)
            if (found := await self._verdict(db, came, listed)) is not None:
                verdicts.append((came, found))
        lately = await queries.touched_by_lists(db, now_ms - DAY_MS)
        cautious = self._cautious(verdicts, Counter(room for room, _ in there), lately)
        for came, found in verdicts:
            if found.step == "look":
                yield (), self._look(found, came)
                continue
            step = "propose" if found.listed.list in cautious and found.step == "apply" else found.step
            if facts := await self._facts(db, replace(found, step=step), came):
                yield facts, ()
        async for answer in self._servers.all_present(db, now_ms, there):
            yield answer

    def _cautious(
        self, verdicts: Sequence[tuple[Came, Verdict]], people: Mapping[RoomId, int], lately: Mapping[str, int]
    ) -> frozenset[str]:
        """Return the lists whose entries touch too many of our people to be applied without a word."""
        touched: defaultdict[str, set[UserId]] = defaultdict(set)
        by_glob: Counter[tuple[str, str, RoomId]] = Counter()
        for came, found in verdicts:
            if found.step == "apply":
                touched[found.listed.list].add(came.user)
                if _means_many(found.listed):
                    by_glob[found.listed.list, found.listed.entry.key, came.room.room] += 1
        widest = {
            name: max(((by_glob[key], people[key[2]]) for key in by_glob if key[0] == name), default=(0, 1))
            for name in touched
        }
        at_most = self._policy.lists.act_at_most
        counts = {name: len(users) + lately.get(name, 0) for name, users in touched.items()}
        return frozenset(name for name in touched if is_too_much(counts[name], at_most, *widest[name]))

    async def ended(self, db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        """Yield the ends of bans that rest on entries which are gone."""
        book = self._lists.book
        for matches in _by_person(await queries.list_matches(db)):
            resting = {match.n: match for match in matches if match.step == "apply"}
            if book is None or not resting or any(self._may_say(book, match) for match in matches):
                continue
            held = await queries.sanctions_of_accounts(db, [match.subject for match in matches])
            gone = [each.end("list", on=each.record) for each in held if each.n in resting and _rests(each)]
            gone = [each for each in gone if not await people_said_so(db, each.n)]
            if gone:
                yield tuple(gone)
        async for ends in self._servers.ended(db):
            yield ends

    async def denies_in(self, db: AsyncConnection, room: RoomId) -> bool:
        """Return whether a server is denied in a room because a list says so."""
        return any(each.room == room for each in await queries.denied_by_lists(db))

    async def still_says(self, db: AsyncConnection, sanction: InForce) -> bool:
        """Return whether a list still says what a ban or a denial rests on, so that it is renewed."""
        if sanction.kind == "server" and sanction.basis == "list":
            return await self._servers.still_says(db, sanction)
        book = self._lists.book
        matches = await queries.list_matches(db, n=sanction.n) if _rests(sanction) else []
        return book is not None and any(self._may_say(book, match) for match in matches)

    def _may_say(self, book: Book, match: ListMatch) -> bool:
        """Return whether a list still recommends to ban the person of a match, or was not read yet."""
        return match.list in self._lists.unread or _against(book, match)

    def _look(self, found: Verdict, came: Came) -> tuple[Action, ...]:
        """Tell the desk of somebody whom a list names, once and not of too many: its writers could fill the desk."""
        shown, where = (found.listed.list, came.room.room, came.user), (found.listed.list, came.room.room)
        lately = [at for at in self._looks.get(where, ()) if at > came.at_ms - DAY_MS]
        if shown in self._shown or len(lately) > MOST_LOOKS:
            return ()
        self._looks[where] = [*lately, came.at_ms]
        if len(lately) == MOST_LOOKS:
            said = line("lists.look-many", list=found.listed.list, count=MOST_LOOKS)
            return (TellDesk(room=came.room.room, lines=(said,)),)
        self._shown.add(shown)
        return (_told(found, came),)

    async def _verdict(self, db: AsyncConnection, came: Came, listed: Sequence[ListedEntry]) -> Verdict | None:
        context = await self._knowledge.context(db, came.room, came.user, came.at_ms)
        spared = await queries.spared_by_list(db, context.subject.person, came.room)
        of_server = {each.listed for each in self._servers.denials(listed, server_of(came.user), came.room)}
        listed = [each for each in listed if each not in of_server]
        return verdict(listed, self._lists.watches, context, self._policy, frozenset(spared))

    async def _facts(self, db: AsyncConnection, found: Verdict, came: Came) -> tuple[Fact, ...]:
        context = await self._knowledge.context(db, came.room, came.user, came.at_ms)
        context = replace(context, next_case=context.next_case + came.cases)
        if any(each.kind == "ban" and each.covers(came.room) for each in context.subject.in_force):
            return ()
        case = await self._known(db, found, context)
        if case is None:
            return facts_of(found, context, self._policy, on=came.on, event=came.event)
        return () if case.waits else (ban_by_list(found.watch, context, self._policy, n=case.n, on=came.on),)

    async def _known(self, db: AsyncConnection, found: Verdict, context: Context) -> CaseView | None:
        """Return the case about a person and a list that counts in a room, if there is one."""
        for match in reversed(await queries.list_matches(db, person=context.subject.person)):
            if match.list == found.listed.list:
                case = await counting_case(db, self._knowledge, self._policy, match.n, context.room)
                if case is not None:
                    return case
        return None


def meant(book: Book, there: Sequence[tuple[RoomId, UserId]]) -> dict[tuple[RoomId, UserId], tuple[ListedEntry, ...]]:
    """Return the entries that mean each of these people, without those whom none means."""
    found = {user: book.match(user) for user in {user for _, user in there}}
    return {(room, user): found[user] for room, user in there if found[user]}


def how_many(listed: ListedEntry, there: Collection[UserId]) -> int:
    """Count the people whom an entry that may mean many means; 0 for any other entry."""
    if not _means_many(listed):
        return 0
    alone = Book([PolicyList(listed.list, NO_ROOM, (listed.entry,))])
    return sum(bool(alone.match(user)) for user in there)


def _means_many(listed: ListedEntry) -> bool:
    return listed.entry.is_glob or listed.entry.kind == "server"


def _by_person(matches: Sequence[ListMatch]) -> list[list[ListMatch]]:
    found: defaultdict[str, list[ListMatch]] = defaultdict(list)
    for match in matches:
        found[match.person].append(match)
    return list(found.values())


def _against(book: Book, match: ListMatch) -> bool:
    """Return whether any list still recommends to ban the person of a match."""
    return any(each.entry.advice in ("ban", "takedown") for each in book.match(match.subject))


def _rests(sanction: InForce) -> bool:
    return sanction.kind == "ban" and sanction.basis == "list"


def _told(found: Verdict, came: Came) -> TellDesk:
    entry, name = found.listed.entry, found.listed.list
    said = line("lists.look", who=Who(came.user), list=name, reason=entry.reason or "-", entity=entry.shown)
    return TellDesk(room=came.room.room, lines=(said,), once=f"list {name} {came.user}")
