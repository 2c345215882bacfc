"""The desk: the managers' own room for one or more groups, with one card a case and reactions to press.

Rules kept here:
- The members of the desk are the managers and owners of its groups, kept in step with their power levels.
- Groups share a desk if the same people own and run them (`moderation/rooms/desks.py`), and part once they do not.
- In a community with one desk, a group moves to the oldest desk of such groups even if it has one already.
- The desk is encrypted if one of its groups is.
- Managers who come later are invited by actions of their own, so that a server that does not answer for one of them
  keeps nobody waiting. Whether they still have a right in the desk is looked up each time.
- A case is one card, edited when the case changes; every later message about it goes into its thread.
- The card shows the words even when the message is gone, and says whether it is.
- Cases that came in a burst share a card (`burst_card.py`); one of them that is appealed has its own, too.
- The reactions are only an offer: the rights of somebody who presses one are checked in the *group* (`bot/commands`),
  whatever they may do in the desk.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace

from bot.bot_rooms.create import RoomPurpose, body, take_up
from bot.bot_rooms.shared_desks import desk_names, desks_to_join, moved, must_show, rooms_of
from bot.events.parse_fields import object_of
from bot.matrix.errors import Answered, Forbidden, HomeserverError, LoggedOut, NotFound, Rejected, Unreachable
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, RetryLater, Services
from bot.pipeline.returned_cards import with_card_mark
from bot.texts.case_card import card_lines, read_card
from bot.texts.case_words import SaidAt, word_lines
from bot.texts.matrix_message import MESSAGE, replacing
from bot.texts.names import names_in
from bot.texts.report_lines import reads_along, report_lines
from moderation.cases.card_reactions import offered
from moderation.judge.room_rules import compiled
from moderation.model.actions.cards import EditBurst, EditCard, Offer, PostCard, SupersedeCard
from moderation.model.actions.rooms import InviteManager, KeepDesk, QuitDesk
from moderation.model.context import CaseView, RoomView
from moderation.model.facts import DeskChosen
from moderation.rooms.desks import SETTLE_MS, DeskView, Plan, plan
from moderation.values.events import Json
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import line
from storage import outbox, queries

LEAVES_AFTER_MS = 200  # how often it is asked whether all is said in a desk that is to be left
POLL_MS = 60_000  # how often a desk whose rooms differ is looked at
_TRIES, _FIRST_MS, _LAST_MS = 40, 5_000, 600_000  # about five hours


class Desk(ActionHandler):
    """The handlers of `KeepDesk`, `InviteManager`, `PostCard`, `EditCard`, `Offer`, `SupersedeCard` and `QuitDesk`."""

    def __init__(self, services: Services, said_at: SaidAt) -> None:
        super().__init__(services)
        self._said_at = said_at
        self.handles: Handlers = {
            KeepDesk: self.keep,
            InviteManager: self.invite,
            PostCard: self.post,
            EditCard: self.edit,
            Offer: self.offer,
            SupersedeCard: self.supersede,
            QuitDesk: self.quit,
        }
        self._making = asyncio.Lock()

    # The room.

    async def keep(self, action: KeepDesk, _txn: str) -> Done:
        """Find or make the desk if there is none; invite new managers, remove former ones, and let rooms part."""
        group, desk = await self._found(action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        if desk is None:
            return await self._provide(group)
        if await self._homeserver.is_encrypted(group.room):
            await self._homeserver.encrypt_room(desk.room)
        wanted = plan(desk)
        await self._in_step(group.room, desk.room, wanted)
        if desk.was_shared and desk.users:
            await self._call_by(desk)
        if action.settles and group.room not in wanted.keep:
            return await self._part(group.room, action.settles)
        if (other := await self._of_community(group, desk)) is not None:
            return await self._join(group, other)
        differ = [staff.room for staff in desk.users if staff.room not in wanted.keep]
        settles = self._clock() + SETTLE_MS
        return Done(made=desk.room, actions=tuple(KeepDesk(room=room, settles=settles) for room in differ))

    async def _found(self, room: RoomId) -> tuple[RoomView | None, DeskView | None]:
        async with self._database.read() as db:
            group = await queries.room_view(db, room, self._homeserver.user)
            return group, await queries.desk_used_by(db, room, self._homeserver.user)

    async def _provide(self, group: RoomView) -> Done:
        """Use the desk of other rooms that the same people run, or make one; for one room at a time."""
        async with self._making:
            _, desk = await self._found(group.room)
            if desk is not None:
                return Done(made=desk.room)
            if (shared := await self._of_same_people(group)) is not None:
                await self._pipeline.commit((DeskChosen(room=group.room, desk=shared.code, why="same"),))
                return Done(made=shared.room)
            staff = await self._database.fetch(queries.staff_of, group, self._homeserver.user)
            made = RoomPurpose("desk", served=group.code)
            room = await self._create(made, group, sorted(staff.joined))
            await take_up(self._pipeline, made, room)
            return Done(made=room)

    async def _of_same_people(self, group: RoomView) -> DeskView | None:
        """Return the desk that a room can use at once: of the same people, and as encrypted as the room."""
        if not self._policy.groups.share_desks:
            return None
        async with self._database.read() as db:
            if await queries.wanted_desk(db, group.room) == "own":
                return None
            found = await desks_to_join(db, group, self._homeserver.user)
        secret = await self._homeserver.is_encrypted(group.room)
        for desk in found:
            if await self._homeserver.is_encrypted(desk.room) == secret:
                return desk
        return None

    async def _of_community(self, group: RoomView, own: DeskView) -> DeskView | None:
        """Return an older desk that a room has to use: of its community, the same people, as encrypted as its own."""
        if not self._policy.communities.has_one_desk(group.community):
            return None
        async with self._database.read() as db:
            community = set(await queries.rooms_of_community(db, group.community))
            found, older = (
                await desks_to_join(db, group, self._homeserver.user),
                await queries.desks_before(db, own.code),
            )
        secret = await self._homeserver.is_encrypted(own.room)
        for desk in found:
            fits = desk.code in older and any(staff.room in community for staff in desk.users)
            if fits and await self._homeserver.is_encrypted(desk.room) == secret:
                return desk
        return None

    async def _join(self, group: RoomView, desk: DeskView) -> Done:
        fact = DeskChosen(room=group.room, desk=desk.code, why="one")
        actions = await self._database.fetch(moved, fact, self._homeserver.user)
        await self._pipeline.commit((fact,), actions=actions)
        return Done(made=desk.room)

    async def _create(self, made: RoomPurpose, group: RoomView, managers: list[UserId]) -> RoomId:
        """Make the desk and invite its managers, who can then read the first message in it if it is encrypted.

        A homeserver that cannot invite one of them refuses, but has made the room: it is taken up as soon as `/sync`
        tells of it.
        """
        secret, (name, topic) = await self._homeserver.is_encrypted(group.room), desk_names(self._speech, group)
        try:
            return await self._homeserver.create_room(
                body(made, name=name, topic=topic, invite=managers, encrypted=secret)
            )
        except LoggedOut:
            raise
        except Answered as error:
            given_up = Done(result="refused", code=error.errcode or "-")
            raise RetryLater(str(error), given_up, tries=5, first_ms=1_000, last_ms=_LAST_MS) from error

    async def _call_by(self, desk: DeskView) -> None:
        """Name a desk after all rooms that use it."""
        async with self._database.read() as db:
            own = await queries.room_view(db, desk.room, self._homeserver.user)
            groups = await rooms_of(db, desk, self._homeserver.user)
        name, topic = desk_names(self._speech, *groups)
        if own is not None and own.name != name:
            await self._homeserver.set_state(desk.room, "m.room.name", {"name": name})
            await self._homeserver.set_state(desk.room, "m.room.topic", {"topic": topic})

    async def _in_step(self, room: RoomId, desk: RoomId, wanted: Plan) -> None:
        for user in wanted.remove:
            await _unless_refused(self._homeserver.kick(desk, user))
        if wanted.invite:
            await self._pipeline.commit(actions=[InviteManager(room=room, subject=user) for user in wanted.invite])

    async def invite(self, action: InviteManager, _txn: str) -> Done:
        """Invite a manager into the desk, unless they are there or have no right in it any more."""
        _, desk = await self._found(action.room)
        if desk is None or action.subject not in plan(desk).invite:
            return Done(result="abandoned")
        try:
            await self._invite_unless_there(desk.room, action.subject)
        except Unreachable as error:
            raise RetryLater(str(error), tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error
        return Done()

    async def _part(self, room: RoomId, settles: int) -> Done:
        """Give a room another desk, once it has differed from the others in this one for long enough."""
        if (wait := settles - self._clock()) > 0:
            raise PollAgain(min(wait, POLL_MS))
        fact = DeskChosen(room=room, why="differ")
        actions = await self._database.fetch(moved, fact, self._homeserver.user)
        await self._pipeline.commit((fact,), actions=actions)
        return Done()

    async def quit(self, action: QuitDesk, txn: str) -> Done:
        """Say that a group no longer uses the desk, and leave it if no group does."""
        async with self._database.read() as db:
            view = await queries.room_view(db, action.room, self._homeserver.user)
            names = await names_in(db, action.lines, action.room)
            desk = await queries.desk_view(db, view.code, self._homeserver.user) if view else None
            waits = await outbox.waits_in(db, action.room, besides=QuitDesk)
        if view is None or desk is None:
            return Done(result="abandoned")
        if not desk.users and waits:  # cards to be put aside, an answer
            raise PollAgain(LEAVES_AFTER_MS)
        content = self._speech.message(action.lines, self._speech.language(view.language), names)
        made = await self._homeserver.send(action.room, MESSAGE, content, txn)
        if not desk.users:
            await self._homeserver.leave(action.room)
        return Done(made=made)

    # The cards.

    async def post(self, action: PostCard, txn: str) -> Done:
        """Post the card of a case, and again if its room moves meanwhile; the desk is made now if there is none."""
        if (await self._found(action.room))[1] is None:
            await self.keep(KeepDesk(room=action.room), txn)
        content, desk, _ = await self._card(action.n, ring=action.ring)
        if desk is None:
            return Done(result="abandoned")
        made = await self._homeserver.send(desk, MESSAGE, with_card_mark(content, action.n, txn), txn)
        _, now = await self._found(action.room)
        if now is None or now.room != desk:  # the room got another one meanwhile
            return Done(made=made, actions=(SupersedeCard(room=desk, event=made, moved=True), action))
        return Done(made=made)

    async def edit(self, action: EditCard, txn: str) -> Done:
        """Edit the card so that it shows the present state of the case."""
        n = await self._shown_with(action.n)
        content, desk, card = await self._card(n)
        burst, appealed = await self._burst_of(n)
        common = (EditBurst(room=action.room, n=burst),) if burst else ()
        if common and card is None and not appealed:
            return Done(actions=common)
        if card is None and await self._waits(n):  # there is something to decide now
            return Done(actions=(*common, PostCard(room=action.room, n=n, ring=False)))
        if desk is None or card is None:
            return Done(result="abandoned")
        return Done(made=await self._homeserver.send(desk, MESSAGE, replacing(content, card), txn), actions=common)

    async def supersede(self, action: SupersedeCard, txn: str) -> Done:
        """Say on a card of the time that a backup lost, or in a desk that its room has left, that it is superseded."""
        async with self._database.read() as db:
            desk = await queries.room_view(db, action.room, self._homeserver.user)
            spoken = await queries.room_language(db, desk.serves[0]) if desk and desk.serves else ""
        language = self._speech.language(spoken)
        said = line("card.moved") if action.moved else line("card.superseded")
        content = self._speech.message((said,), language, {})
        return Done(made=await self._homeserver.send(action.room, MESSAGE, replacing(content, action.event), txn))

    async def _shown_with(self, n: CaseNumber) -> CaseNumber:
        """Return the case on whose card case `n` is shown."""
        case = await self._database.fetch(queries.case_view, n)
        return CaseNumber(case.lead) if case is not None and case.lead and case.state != "appealed" else n

    async def _burst_of(self, n: int) -> tuple[CaseNumber, bool]:
        """Return the burst on whose card case `n` is shown (0: none), and whether the case is appealed."""
        case = await self._database.fetch(queries.case_view, n)
        return (CaseNumber(case.burst), case.state == "appealed") if case is not None else (CaseNumber(0), False)

    async def _waits(self, n: int) -> bool:
        case = await self._database.fetch(queries.case_view, n)
        return case is not None and case.waits

    async def offer(self, action: Offer, txn: str) -> Done:
        """Put the reactions under the card or a question, one after the other: clients show them in this order."""
        async with self._database.read() as db:
            case = await queries.case_view(db, action.n)
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
        target = action.event or (case.card if case else None)
        if desk is None or target is None or case is None:
            return Done(result="abandoned")
        for number, key in enumerate(action.key.split() or offered(case, more=action.more)):
            relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
            with suppress(Rejected):  # it stands there already
                await self._homeserver.send(desk, "m.reaction", {"m.relates_to": relation}, f"{txn}.{number}")
        return Done()

    async def _card(self, n: int, *, ring: bool = True) -> tuple[dict[str, Json], RoomId | None, EventId | None]:
        now = self._clock()
        async with self._database.read() as db:
            card = await read_card(db, n, now, self._policy, self._homeserver.user)
            assert card is not None, "a card for a case that does not exist"
            group = await queries.room_view(db, card.case.room, self._homeserver.user)
            view = await queries.desk_used_by(db, card.case.room, self._homeserver.user)
            desk = must_show(view, card.case.room).room if view else None
            # No reporter is named: the person it is about may read here one day.
            hides = await reads_along(db, card.case, desk)
            reported = report_lines(await queries.reports_of(db, n), names=False, words=not hides)
            rules = (*self._pipeline.settings.rules, *compiled(group.rules if group else (), self._policy))
            words = await word_lines(db, card.case, self._said_at, rules, self._homeserver.user)
        card = replace(card, gone=await self._is_gone(card.case), names_room=view is not None and view.is_shared)
        lines = card_lines(card, self._policy, now, self._prefix, words=words, reported=reported, hides=hides)
        language = self._speech.language(group.language if group else "")
        async with self._database.read() as db:
            names = await names_in(db, lines, language, card.case.room, about={card.case.subject})
            to = await queries.joined_of(db, desk, card.assigned) if desk and ring else ()
        content = self._speech.message(lines, language, names, to=to)
        return content, desk, card.case.card

    async def _is_gone(self, case: CaseView) -> bool | None:
        """Return whether the first message of a case is removed from the room; None if the homeserver keeps that."""
        if not case.messages:
            return None
        try:
            shown = await self._homeserver.event(case.room, case.messages[0])
        except HomeserverError:  # the card does not depend on it
            return None
        return "redacted_because" in object_of(shown.get("unsigned"))


async def _unless_refused(request: Awaitable[object]) -> None:
    """Await a request, but ignore that somebody refuses or is out of reach: it must not stop the others."""
    try:
        await request
    except (Forbidden, NotFound):
        return
