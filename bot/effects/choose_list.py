"""The reader of policy lists that people in a room want to choose: it shows what a list says, then watches it.

Rules kept here:
- Whether the person may choose the list is asked again when it is read, and when it is watched.
- A list is read without entering its room where the homeserver allows that. Else the bot enters it, says nothing there,
  and leaves again: at once if it is no list, else once nobody has confirmed it for a day (`bot/sync/list_upkeep.py`).
- Rooms that the bot serves are never read as lists, not even for operators.
- What is watched is what was shown: the SHA-256 of all entries must be the same. The alias is not asked again.

Left to others: who may choose what, and how much (`moderation/lists/choosing.py`), the commands
(`bot/commands/choose_list.py`), reading a list that is watched (`bot/sync/policy_lists.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.matrix.errors import Answered, HomeserverError, LoggedOut, TooLarge, Unreachable
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.pipeline.list_preview import people_touched
from bot.runtime.newest import Newest
from bot.sync.list_upkeep import ListUpkeep
from bot.sync.policy_lists import MOST_STATE, PolicyLists, changes_of, successor
from bot.texts.list_preview_lines import changed_lines, preview_lines
from bot.texts.refusal import refusal_line
from moderation.duty.responsibility import is_operator
from moderation.lists import choosing
from moderation.lists.entries import Entry, is_list, read_entries
from moderation.lists.matching import Watch
from moderation.model.actions.lists import ChooseList, PreviewList
from moderation.model.actions.telling import Say, Tell
from moderation.model.context import RoomView
from moderation.model.facts import Fact, ListChosen, ListPreviewed
from moderation.policy import Policy, Trust
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, is_room_id, server_of
from moderation.values.notices import Code, Line, line
from storage import queries
from storage.queries import ListPreview
from storage.state.list_entries import digest_of

MOST_PEOPLE = 1_000  # whom a preview looks at one by one
MOST_SERVERS = 3  # to enter a room through
_TRIES, _FIRST_MS, _LAST_MS = 2, 5_000, 20_000

Asked = PreviewList | ChooseList


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list as it was read: its room, its entries in order, and their SHA-256."""

    room: RoomId
    entries: tuple[Entry, ...]
    digest: str


class ListChooser(ActionHandler):
    """The handlers of `PreviewList` and `ChooseList`."""

    def __init__(self, services: Services, lists: PolicyLists) -> None:
        super().__init__(services)
        self._lists = lists
        self._upkeep = ListUpkeep(services)
        # What previews showed last, to say what has changed.
        self._shown: Newest[RoomId, tuple[Entry, ...]] = Newest(choosing.MOST_ENTERED)
        self.handles: Handlers = {PreviewList: self.preview, ChooseList: self.choose}

    async def preview(self, action: PreviewList, _txn: str) -> Done:
        """Say what a list says, and whom it would touch."""
        room, policy = await self._room(action), self._policy_of(action)
        if room is None:
            return Done()
        try:
            choosing.require_chooser(action.subject, room, policy)
            found = await self._look(action, room)
        except Refused as refused:
            return _said(action, (refusal_line(refused),))
        except Unreachable as error:
            raise _later(action, error) from None
        trust = choosing.most_trusted(action.subject, room, policy)
        reach = await self._reach("look" if trust == "none" else trust, action, room, policy)
        watch = Watch("", found.room, "apply", reach=reach, home=room.room)
        async with self._database.read() as db:
            knowledge, now_ms = self._pipeline.knowledge, self._clock()
            people = await people_touched(db, knowledge, watch, found.entries, self._policy, now_ms, MOST_PEOPLE + 1)
        self._shown[found.room] = found.entries
        fact = ListPreviewed(
            room=room.room,
            step="shown",
            number=action.number,
            reach=reach,
            entries=len(found.entries),
            digest=found.digest,
            list_room=found.room,
        )
        lines = preview_lines(found.room, found.entries, people, self._prefix, action.number, MOST_PEOPLE)
        return replace(_said(action, lines), facts=(fact,))

    async def choose(self, action: ChooseList, _txn: str) -> Done:
        """Watch a list if it says what the preview showed, and the person may still choose it."""
        room, policy = await self._room(action), self._policy_of(action)
        async with self._database.read() as db:
            shown = await queries.list_preview(db, action.number)
            chosen = {each.list: each for each in await queries.chosen_lists(db)}.get(action.list)
        if room is None or shown is None:
            return Done()
        if chosen is not None and (chosen.preview, chosen.trust) == (action.number, action.trust):  # before a crash
            return _said(action, (_watched(action, shown.entries),))
        try:
            choosing.require_trust(action.trust, action.subject, room, policy)
            found = await self._read(shown.list_room, (), room, action.number)
            if found.digest != shown.digest:
                before = self._shown.get(found.room, ())
                change = changes_of(before if digest_of(before) == shown.digest else found.entries, found.entries)
                return _said(action, changed_lines(change.added, change.gone, action.list, self._prefix, found.room))
            fact = await self._chosen(action, room, shown, policy, found)
            await self._stay(found, room, action.number)
        except Refused as refused:
            return _said(action, (refusal_line(refused),))
        except Unreachable as error:
            raise _later(action, error) from None
        await self._pipeline.commit((fact,))
        self._lists.was_chosen(found.room, found.entries)
        return _said(action, (_watched(action, shown.entries),))

    async def _chosen(
        self, action: ChooseList, room: RoomView, shown: ListPreview, policy: Policy, found: ReadList
    ) -> Fact:
        """Return the fact that a list is watched. Raises `Refused` if that is too much."""
        may = await self._reach(action.trust, action, room, policy)
        reach = choosing.reach_as_shown(shown.reach, may, room)
        watch = Watch(action.list, found.room, action.trust, reach=reach, home=room.room)
        async with self._database.read() as db:
            known = await queries.known_lists(db)
            choosing.require_place(action.list, found.room, room, known, policy)
            choosing.require_size(choosing.size_of(action.list, room.room, found.entries), known)
            if action.trust != "look":
                most, knowledge = choosing.MOST_CASES, self._pipeline.knowledge
                people = await people_touched(
                    db, knowledge, watch, found.entries, self._policy, self._clock(), 2 * most + 1
                )
                if sum(each.fate in ("apply", "propose") for each in people) > most or len(people) > 2 * most:
                    raise Refused("error.list.cases", limit=most)
        return ListChosen(
            room=room.room,
            step="watched",
            list=action.list,
            trust=action.trust,
            reach=reach,
            preview=action.number,
            list_room=found.room,
            by=action.subject,
            reason=action.reason,
        )

    async def _room(self, action: Asked) -> RoomView | None:
        """Return the room that a list is chosen for, if the bot still serves it and the person is still in it."""
        async with self._database.read() as db:
            room = await self._pipeline.knowledge.room(db, action.room)
            there = (await queries.memberships_of(db, action.subject)).get(action.room) == "join"
        operates = is_operator(action.subject, self._policy_of(action))
        return room if room is not None and room.active and (there or operates) else None

    def _policy_of(self, action: Asked) -> Policy:
        return self._policy if action.operates else self._policy.without_operator(action.subject)

    async def _reach(self, trust: Trust, action: Asked, room: RoomView, policy: Policy) -> str:
        async with self._database.read() as db:
            views = [await self._pipeline.knowledge.room(db, each) for each in await queries.active_groups(db)]
        rooms = [each for each in views if each is not None]
        return choosing.widest_reach(trust, action.subject, room, rooms, policy)

    async def _look(self, action: PreviewList, room: RoomView) -> ReadList:
        """Read the list that the action names. Raises `Refused`, which says why that is not possible."""
        target, via = action.target, tuple(action.via.split())
        if target.startswith("#"):
            try:
                found, servers = await self._homeserver.resolve(target)
            except LoggedOut:
                raise
            except Answered:
                raise Refused("error.list.nowhere", target=Code(target)) from None
            if not is_room_id(found):
                raise Refused("error.list.nowhere", target=Code(target))
            return await self._read(found, (*via, *servers, server_of(target)), room, action.number)
        return await self._read(RoomId(target), (*via, server_of(target)), room, action.number)

    async def _read(self, list_room: RoomId, via: Sequence[str], room: RoomView, number: int) -> ReadList:
        """Read a list. Raises `Refused`, which says why that is not possible."""
        own = {each.room for each in self._policy.lists.publish}
        if list_room in self._pipeline.served.codes or list_room in own:  # in words that betray no room of others
            raise Refused("error.list.closed", target=Code(list_room))
        try:
            state = await self._state(list_room, via, room, number)
            entries = await asyncio.to_thread(read_entries, state)
            if (moved := successor(state)) is not None:
                raise Refused("error.list.moved", target=Code(moved[:255]))
            if not entries and not is_list(state):
                raise Refused("error.list.no-list")
            choosing.require_size(choosing.size_of("", room.room, entries), ())
        except LoggedOut:
            raise
        except TooLarge:
            await self._leave(list_room)
            raise Refused("error.list.large", limit=MOST_STATE >> 20) from None
        except Answered:
            await self._leave(list_room)
            raise Refused("error.list.closed", target=Code(list_room)) from None
        except Refused:
            await self._leave(list_room)
            raise
        return ReadList(list_room, entries, await asyncio.to_thread(digest_of, entries))

    async def _state(self, list_room: RoomId, via: Sequence[str], room: RoomView, number: int) -> list[dict[str, Any]]:
        """Return the state of a list's room; enter it if it cannot be read from outside."""
        if list_room not in await self._homeserver.joined_rooms():
            try:
                return await self._homeserver.state(list_room, at_most=MOST_STATE)
            except (LoggedOut, TooLarge):
                raise
            except Answered:
                await self._enter(list_room, via, room, number)
        return await self._homeserver.state(list_room, at_most=MOST_STATE)

    async def _enter(self, list_room: RoomId, via: Sequence[str], room: RoomView, number: int) -> None:
        async with self._database.read() as db:
            entered = await queries.rooms_entered(db)
            chosen = {each.list_room for each in await queries.chosen_lists(db)}
        waiting = {each: groups for each, (_, groups) in entered.items() if each not in chosen | {list_room}}
        here = sum(room.room in groups for groups in waiting.values())
        if len(waiting) >= choosing.MOST_ENTERED or here >= choosing.MOST_ENTERED_OF_ROOM:
            raise Refused("error.list.busy")
        await self._pipeline.commit(
            (ListPreviewed(room=room.room, step="entered", number=number, list_room=list_room),)
        )
        servers = tuple(dict.fromkeys(each for each in via if each))[:MOST_SERVERS]
        await self._homeserver.join(list_room, servers)

    async def _stay(self, found: ReadList, room: RoomView, number: int) -> None:
        """Be in the room of a list that is to be watched, since changes are told only there."""
        if found.room in await self._homeserver.joined_rooms():
            return
        writers = (server_of(each.sender) for each in found.entries)
        try:
            await self._enter(found.room, (server_of(found.room), *writers), room, number)
        except LoggedOut:
            raise
        except Answered:
            raise Refused("error.list.closed", target=Code(found.room)) from None

    async def _leave(self, list_room: RoomId) -> None:
        """Leave a room that was entered to read it and that is no list that can be watched."""
        async with self._database.read() as db:
            entered = list_room in await queries.rooms_entered(db)
            chosen = list_room in {each.list_room for each in await queries.chosen_lists(db)}
        if entered and not chosen:
            await self._upkeep.leave(list_room)


def _watched(action: ChooseList, entries: int) -> Line:
    return line(f"policy-list.watched.{action.trust}", list=action.list, count=entries)


def _said(action: Asked, lines: Sequence[Line]) -> Done:
    """Return the outcome of which nothing is left but to say something to the person who asked."""
    if action.alone:
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=tuple(lines), alone=True),))
    said = Say(
        room=action.where,
        lines=tuple(lines),
        reply_to=action.reply_to,
        thread=action.thread,
        to=action.subject,
        language=action.language,
    )
    return Done(actions=(said,))


def _later(action: Asked, error: HomeserverError) -> RetryLater:
    gone = _said(action, (line("error.list.away"),))
    return RetryLater(str(error), gone, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS)
