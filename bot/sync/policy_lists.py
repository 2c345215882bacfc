"""The rooms of policy lists: the bot joins them, stays silent, and keeps the entries that their state holds.

Rules kept here:
- Nothing that is said there is recorded or judged.
- The state is fetched as a whole and compared with what is known, so that the next look makes up for what was missed.
- What a list said last counts while it cannot be read; a start needs no network for it.
- What a list says is recorded before it counts: how many entries, and the SHA-256 of them all.
- A list whose server does not answer does not keep the others from being read (`joins.py`).
- A list that changes again and again is read less and less often: nobody is banned and let in every second. Other
  lists, and what people here decide about lists, do not wait for it (`list_rests.py`).
- A list of more than `MOST_ENTRIES` entries (`choosing.MOST_ENTRIES` if people chose it in chat) is not read further,
  and an upgraded list is not followed: people are told.

Left to others: choosing lists in chat (`bot/effects/choose_list.py`), what is due from time to time
(`list_upkeep.py`), what an entry says (`moderation/lists/entries.py`), whom it means and what follows
(`moderation/lists/matching.py`).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.sync_response import SyncResponse
from bot.matrix.errors import Answered, HomeserverError
from bot.outbox.handler import BotPart, Done, Handlers, Services
from moderation.lists import choosing
from moderation.lists.book import Book
from moderation.lists.entries import Entry, PolicyList, is_entry, read_entries
from moderation.model.actions.base import Action
from moderation.model.actions.lists import MatchAgain
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import Fact, ListChosen, ListRead
from moderation.model.reach import DEPLOYMENT
from moderation.policy import WatchedList
from moderation.values.errors import Refused
from moderation.values.events import Received, Redacted, StateChanged
from moderation.values.ids import RoomId, server_of
from moderation.values.notices import Code, line
from storage import queries
from storage.projections import LIST_READ, set_meta
from storage.queries import ChosenList
from storage.state.list_entries import change_entries, digest_of, forget_entries

from .joins import Joins
from .list_rests import Rest
from .list_troubles import ListTroubles
from .list_upkeep import ListUpkeep

log = structlog.get_logger()

LOOK_AGAIN_S = 3_600
ASK_AGAIN_S = 30  # if the homeserver was away
MOST_ENTRIES = 200_000
MOST_STATE = 64 << 20  # bytes of the state of a list's room, if people chose it in chat
BREATH_S = 1.0  # after any change, since letting it take effect takes a while
MOST_SERVERS = 3  # to enter a list's room through


class PolicyLists(BotPart):
    """The lists that are watched, read at the start, after a change, and once an hour."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._configured = {each.name: each for each in self._policy.lists.watch}
        self._awake = asyncio.Event()
        self._chosen: tuple[ChosenList, ...] = ()
        self._rooms: frozenset[RoomId] = frozenset()
        self._entries: dict[RoomId, tuple[Entry, ...]] = {}  # as the tables have them
        self._was_read: set[RoomId] = set()  # since the start
        self._stale: set[RoomId] = set()  # lists that have changed since they were read
        self._reads_all = True  # at the next look
        self._reads_all_s = 0.0  # when all lists are read the next time, even if none seems to have changed
        self._rests: defaultdict[RoomId, Rest] = defaultdict(Rest)
        self._troubles = ListTroubles(services)
        self._asked = False  # whether somebody decided something about lists
        self._given: dict[RoomId, tuple[Entry, ...]] = {}  # as they were read when somebody chose the list
        self._upkeep = ListUpkeep(services)
        self._joins = Joins(services.homeserver, self._awake.set)
        self.handles: Handlers = {MatchAgain: self.match_again}

    def invited(self, room: RoomId) -> bool:
        """Return whether the room is that of a watched list; then the bot looks at it again, and comes in."""
        own = {each.room for each in self._policy.lists.publish}
        if room not in self._rooms | own and room not in {each.room for each in self._configured.values()}:
            return False
        self._joins.was_invited()
        self.look_again()
        return True

    def heard(self, response: SyncResponse) -> None:
        """Look again if the answer may show a change in a list, or that the bot is out."""
        changed = {
            room.room
            for room in response.joined
            if room.room in self._rooms and (room.limited or any(map(_may_change, (*room.state, *room.timeline))))
        }
        if changed := changed | {room.room for room in response.left if room.room in self._rooms}:
            self._stale |= changed
            if self._rested(changed):
                self._awake.set()

    def look_again(self) -> None:
        """Look at all lists soon: the bot may enter the room of one now."""
        self._reads_all = True
        self._awake.set()

    async def match_again(self, _action: MatchAgain, _txn: str) -> Done:
        """Look soon whom the lists mean: people here decided something about them."""
        self._asked = True
        self._awake.set()
        return Done()

    def was_chosen(self, room: RoomId, entries: tuple[Entry, ...]) -> None:
        """Go soon by a list that was chosen just now, and that says this."""
        self._given[room] = entries
        self._asked = True
        self._awake.set()

    async def run(self) -> None:
        """Compile what is known, then look until cancelled."""
        await self.begin()
        try:
            await self._look_again_and_again()
        finally:
            await self._joins.end()

    async def _look_again_and_again(self) -> None:
        while True:
            self._awake.clear()
            before = dict(self._entries)
            answered = await self.look()
            now_s = time.monotonic()
            if not answered:
                self._reads_all_s = min(self._reads_all_s, now_s + ASK_AGAIN_S)
            if changed := [room for room, entries in self._entries.items() if entries is not before.get(room)]:
                for room in changed:
                    self._rests[room].begin(now_s)
                await asyncio.sleep(BREATH_S)
            times = [self._reads_all_s, *(rest.until_s for rest in self._rests.values() if rest.until_s > now_s)]
            with suppress(TimeoutError):
                async with asyncio.timeout(min(times) - time.monotonic()):
                    await self._awake.wait()
            self._reads_all |= time.monotonic() >= self._reads_all_s

    def _rested(self, rooms: Iterable[RoomId]) -> set[RoomId]:
        """Return those of these lists that may be read now."""
        now_s = time.monotonic()
        return {room for room in rooms if self._rests[room].until_s <= now_s}

    async def begin(self) -> None:
        """Let take effect what was known at the last stop."""
        self._entries = await self._database.fetch(queries.list_entries)
        await self.compile()

    async def compile(self) -> None:
        """Let what is known of the lists take effect."""
        chosen = await self._known()
        counting = [each for each in chosen if each.in_chat or each.list in self._configured]
        self._chosen, self._rooms = chosen, frozenset(each.list_room for each in chosen)
        lists = [PolicyList(each.list, each.list_room, self._entries.get(each.list_room, ())) for each in counting]
        book = await asyncio.to_thread(Book, lists)
        known = self._was_read | {room for room, entries in self._entries.items() if entries}
        unread = frozenset(each.list for each in counting if each.list_room not in known)
        watches = {each.list: each.watch(self._policy.lists) for each in counting}
        self._pipeline.lists.become(book, watches, unread)
        await self._act()

    async def _act(self) -> None:
        """Do what follows for everybody whom the lists mean now, and end what rests on entries that are gone."""
        looks: list[Action] = []

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            matching = self._pipeline.matching
            async for facts, actions in matching.all_present(db, self._clock()):
                looks.extend(actions)
                if facts:
                    yield facts
            async for ends in matching.ended(db):
                yield ends

        await self._pipeline.commit_with(make)
        if looks:
            await self._pipeline.commit(actions=looks)

    async def look(self) -> bool:
        """Read the lists that may have changed. Return whether the homeserver answered for all."""
        everything, self._reads_all = self._reads_all, False
        if everything:
            self._reads_all_s = time.monotonic() + LOOK_AGAIN_S
        self._joins.begin_round()
        await self._enter_own(everything=everything)
        await self._choose(everything=everything)
        if everything:
            await self._upkeep.end_forsaken(await self._known())
        stale, self._stale = self._stale, set()
        chosen, answered = await self._known(), True
        changed, self._asked = self._asked or chosen != self._chosen, False
        await self._forget(chosen)
        if everything:
            await self._upkeep.leave_unchosen(chosen)
            await self._upkeep.record_again(chosen)
        self._rooms = frozenset(each.list_room for each in chosen)  # before the state is read: nothing is missed
        wanted = self._rooms if everything else self._rooms & stale
        due = self._rested(wanted)
        self._stale |= wanted - due
        for each in chosen:
            if each.list_room in self._given:
                changed |= await self._take(each, self._given.pop(each.list_room))
                continue
            if each.list_room not in due:
                continue
            try:
                changed |= await self._read(each)
                self._troubles.is_well(each.list, "unreadable")
            except Answered as error:
                log.warning("list_refused", list=each.list, room=each.list_room, why=str(error))
                await self._troubles.tell(each.list, "unreadable", each.list_room, desk=each.room)
            except HomeserverError as error:
                log.warning("list_unread", list=each.list, room=each.list_room, why=str(error))
                self._stale.add(each.list_room)
                answered = False
        if changed:
            await self.compile()
        return answered

    async def _forget(self, chosen: Sequence[ChosenList]) -> None:
        """Forget what lists say that are watched no longer, and leave their rooms."""
        kept = {each.list_room for each in chosen}
        for room in set(self._entries) - kept:
            await self._pipeline.commit(also=partial(forget_entries, room=room))
            self._entries.pop(room)
        if gone := (self._rooms | self._joins.entered()) - kept:
            await self._upkeep.leave_unchosen(chosen, gone)
            for room in gone:
                self._joins.forget(room)

    async def _known(self) -> tuple[ChosenList, ...]:
        return await self._database.fetch(queries.chosen_lists)

    async def _choose(self, *, everything: bool) -> None:
        """Record which lists of the configuration are watched, once their rooms are known, and which no longer.

        Unless `everything`, only those are looked at whose join was answered late.
        """
        chosen = {each.list: each for each in await self._known()}
        for name, wanted in self._configured.items():
            if not (everything or self._joins.has_ended(wanted.room)):
                continue
            known = chosen.get(name)
            try:
                room = RoomId(wanted.room) if wanted.room.startswith("!") else await self._entered(wanted)
            except HomeserverError as error:
                log.warning("list_closed", list=name, room=wanted.room, why=str(error))
                if isinstance(error, Answered):
                    await self._troubles.tell(name, "closed", wanted.room)
                continue
            self._troubles.is_well(name, "closed")
            if known is None or (known.list_room, known.trust, known.in_chat) != (room, wanted.trust, False):
                fact = ListChosen(step="watched", list=name, trust=wanted.trust, reach=DEPLOYMENT, list_room=room)
                await self._pipeline.commit((fact,), actions=_taken(known))
                self._stale.add(room)
        for name, gone in chosen.items():
            if not gone.in_chat and name not in self._configured:
                await self._pipeline.commit((ListChosen(step="ended", list=name),))

    async def _enter_own(self, *, everything: bool) -> None:
        """Enter the rooms of our own lists, or say that it is not possible; see `_choose`."""
        for each in self._policy.lists.publish:
            if not (everything or self._joins.has_ended(each.room)):
                continue
            try:
                if each.room in await self._homeserver.joined_rooms():
                    self._joins.forget(each.room)
                else:
                    await self._joins.enter(each.room, tuple(filter(None, (server_of(each.room),))))
            except HomeserverError as error:
                log.warning("own_list_closed", list=each.name, room=each.room, why=str(error))
                if isinstance(error, Answered):
                    await self._troubles.tell(each.name, "own-closed", each.room)
            else:
                self._troubles.is_well(each.name, "own-closed")

    async def _entered(self, wanted: WatchedList) -> RoomId:
        return await self._joins.enter(wanted.room, wanted.via or (server_of(wanted.room),))

    async def _read(self, each: ChosenList) -> bool:
        """Read the entries of a list; return whether they differ from those known."""
        wanted = None if each.in_chat else self._configured.get(each.list)
        name, via = (wanted.room, wanted.via) if wanted is not None else (each.list_room, ())
        if each.list_room in await self._homeserver.joined_rooms():
            self._joins.forget(name)
        else:
            writers = (each.sender for each in self._entries.get(each.list_room, ()))
            known = filter(None, map(server_of, (each.list_room, *writers)))
            via = via or tuple(islice(dict.fromkeys(known), MOST_SERVERS))
            await self._joins.enter(each.list_room, via, name=name)
        state = await self._homeserver.state(each.list_room, at_most=MOST_STATE if each.in_chat else None)
        entries = await asyncio.to_thread(read_entries, state)
        if await self._is_too_long(each, entries):
            await self._troubles.tell(each.list, "too-long", each.list_room, desk=each.room, limit=MOST_ENTRIES)
            return False
        self._troubles.is_well(each.list, "too-long")
        if (moved := successor(state)) is not None:
            await self._troubles.tell(each.list, "moved", moved, desk=each.room)
        return await self._take(each, entries)

    async def _is_too_long(self, each: ChosenList, entries: Sequence[Entry]) -> bool:
        """Return whether a list has too many entries: of those chosen in chat, together with the others too."""
        if not each.in_chat:
            return len(entries) > MOST_ENTRIES
        known = await self._database.fetch(queries.known_lists)
        try:
            choosing.require_size(choosing.size_of(each.list, each.room, entries), known)
        except Refused:
            return True
        return False

    async def _take(self, each: ChosenList, entries: tuple[Entry, ...]) -> bool:
        """Note that a list was read, and keep what it says. Return whether that is news."""
        await self._pipeline.commit(also=partial(set_meta, key=LIST_READ + each.list, value=str(self._clock())))
        return await self._keep(each, entries)

    async def _keep(self, each: ChosenList, entries: tuple[Entry, ...]) -> bool:
        """Record and keep what a list says now, if it differs. Return whether that is news."""
        change = await asyncio.to_thread(changes_of, self._entries.get(each.list_room, ()), entries)
        is_new = each.list_room not in self._was_read
        self._was_read.add(each.list_room)
        if not (change.added or change.gone):
            return is_new
        added, removed = len(change.added), len(change.gone)
        fact = ListRead(list=each.list, entries=len(entries), added=added, removed=removed, digest=change.digest)
        also = partial(change_entries, room=each.list_room, gone=change.gone, added=change.added)
        await self._pipeline.commit((fact,), also=also)
        self._entries[each.list_room] = entries
        return True


@dataclass(frozen=True, slots=True)
class ListChange:
    """The difference of a list to what was known of it, and the SHA-256 of its entries in order, in hexadecimal."""

    added: tuple[Entry, ...]
    gone: tuple[Entry, ...]
    digest: str


def changes_of(before: Sequence[Entry], now: Sequence[Entry]) -> ListChange:
    """Compare the entries of a list with those known before. An entry that was changed is gone and added."""
    known, there = set(before), set(now)
    added = tuple(each for each in now if each not in known)
    gone = tuple(each for each in before if each not in there)
    return ListChange(added, gone, digest_of(now))


def successor(state: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the room that a list was upgraded to, as its tombstone names it."""
    for event in state:
        if event.get("type") == "m.room.tombstone" and event.get("state_key") == "":
            content = event.get("content")
            return str(content.get("replacement_room", "")) if isinstance(content, Mapping) and content else None
    return None


def _taken(known: ChosenList | None) -> tuple[Action, ...]:
    """Tell the desk of a room if the configuration watches another list by the name of one that was chosen there."""
    if known is None or not known.in_chat or known.room is None:
        return ()
    said = line("lists.taken", list=known.list, room=Code(known.list_room))
    return (TellDesk(room=known.room, lines=(said,)),)


def _may_change(event: Received) -> bool:
    """Tell whether an event may change the entries of a list: a redaction can take one back."""
    return isinstance(event, Redacted) or (
        isinstance(event, StateChanged) and (is_entry(event.type) or event.type == "m.room.tombstone")
    )
