"""The desk: the managers' own room for a group, with one card a case and reactions to press.

Rules kept here:
- The members of the desk are the managers and owners of the group, kept in step with its power levels.
- The desk is encrypted if the group is.
- A case is one card, edited when the case changes; every later message about it goes into its thread.
- The card shows the words even when the message is gone, and says whether it is.
- The reactions are only an offer: the rights of somebody who presses one are checked in the *group* (`bot/commands`),
  whatever they may do in the desk.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import replace

from bot.bot_rooms.create import RoomPurpose, body, take_up
from bot.events.parse_fields import object_of
from bot.matrix.errors import Forbidden, HomeserverError, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.pipeline.returned_cards import with_card_mark
from bot.texts.case_card import card_lines, read_card
from bot.texts.case_words import SaidAt, word_lines
from bot.texts.matrix_message import MESSAGE, Speech, replacing
from bot.texts.names import names_in
from bot.texts.report_lines import reads_along, report_lines
from moderation.judge.room_rules import compiled
from moderation.model.actions import EditCard, KeepDesk, Offer, PostCard, SupersedeCard
from moderation.model.context import CaseView, RoomView
from moderation.values.events import Json
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import line
from storage import queries
from storage.projections.upgraded_rooms import MOVED

# Memberships of people who are coming into a group, as after an upgrade: they keep their place in the desk meanwhile.
_ON_THE_WAY = ("invite", MOVED)


class Desk(ActionHandler):
    """The handlers of `KeepDesk`, `PostCard`, `EditCard`, `Offer` and `SupersedeCard`."""

    def __init__(self, services: Services, said_at: SaidAt) -> None:
        super().__init__(services)
        self._said_at = said_at
        self.handles: Handlers = {
            KeepDesk: self.keep,
            PostCard: self.post,
            EditCard: self.edit,
            Offer: self.offer,
            SupersedeCard: self.supersede,
        }

    # The room.

    async def keep(self, action: KeepDesk, _txn: str) -> Done:
        """Make the desk if there is none; invite new managers and remove former ones."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
            there = await queries.memberships(db, desk) if desk else {}
            members = await queries.memberships(db, action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        managers = self._managers(group, members)
        if desk is None:
            made = RoomPurpose("desk", served=group.code)
            desk = await self._create(made, group, managers)
            await take_up(self._pipeline, made, desk)
            return Done(made=desk)
        if await self._homeserver.is_encrypted(group.room):
            await self._homeserver.encrypt_room(desk)
        await self._in_step(desk, there, managers, self._managers(group, members, _ON_THE_WAY))
        return Done(made=desk)

    def _managers(self, group: RoomView, members: dict[UserId, str], there: Sequence[str] = ("join",)) -> list[UserId]:
        people = group.power.owners() | group.power.managers()
        return sorted(user for user in people if members.get(user) in there and user != self._homeserver.user)

    async def _create(self, made: RoomPurpose, group: RoomView, managers: list[UserId]) -> RoomId:
        secret, (name, topic) = await self._homeserver.is_encrypted(group.room), desk_names(self._speech, group)
        return await self._homeserver.create_room(body(made, name=name, topic=topic, invite=managers, encrypted=secret))

    async def _in_step(
        self, desk: RoomId, there: dict[UserId, str], managers: list[UserId], coming: list[UserId]
    ) -> None:
        """Invite `managers` and remove all others but `coming`, who are not invited yet but stay if they are there."""
        for user in managers:
            if there.get(user) not in ("join", "invite"):
                await _unless_refused(self._homeserver.invite(desk, user))
        for user, membership in there.items():
            if membership in ("join", "invite") and user not in {*managers, *coming, self._homeserver.user}:
                await _unless_refused(self._homeserver.kick(desk, user))

    # The cards.

    async def post(self, action: PostCard, txn: str) -> Done:
        """Post the card of a case; the desk is made now if there is none."""
        content, desk, _ = await self._card(action.n, ring=action.ring)
        if desk is None:
            await self.keep(KeepDesk(room=action.room), txn)
            content, desk, _ = await self._card(action.n, ring=action.ring)
        if desk is None:
            return Done(result="abandoned")
        made = await self._homeserver.send(desk, MESSAGE, with_card_mark(content, action.n, txn), txn)
        return Done(made=made)

    async def edit(self, action: EditCard, txn: str) -> Done:
        """Edit the card so that it shows the present state of the case."""
        n = await self._shown_with(action.n)
        content, desk, card = await self._card(n)
        if card is None and await self._waits(n):  # there is something to decide now
            return Done(actions=(PostCard(room=action.room, n=n, ring=False),))
        if desk is None or card is None:
            return Done(result="abandoned")
        return Done(made=await self._homeserver.send(desk, MESSAGE, replacing(content, card), txn))

    async def supersede(self, action: SupersedeCard, txn: str) -> Done:
        """Say on a card of the time that a backup lost that it is superseded."""
        async with self._database.read() as db:
            desk = await queries.room_view(db, action.room, self._homeserver.user)
            spoken = await queries.room_language(db, desk.served) if desk and desk.served else ""
        language = self._speech.language(spoken)
        content = self._speech.message((line("card.superseded"),), language, {})
        return Done(made=await self._homeserver.send(action.room, MESSAGE, replacing(content, action.event), txn))

    async def _shown_with(self, n: CaseNumber) -> CaseNumber:
        """Return the case on whose card case `n` is shown."""
        async with self._database.read() as db:
            case = await queries.case_view(db, n)
        return CaseNumber(case.lead) if case is not None and case.lead and case.state != "appealed" else n

    async def _waits(self, n: int) -> bool:
        async with self._database.read() as db:
            case = await queries.case_view(db, n)
        return case is not None and case.waits

    async def offer(self, action: Offer, txn: str) -> Done:
        """Put the reactions under the card or a question, one after the other: clients show them in this order."""
        async with self._database.read() as db:
            case = await queries.case_view(db, action.n)
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
        target = action.event or (case.card if case else None)
        if desk is None or target is None:
            return Done(result="abandoned")
        for number, key in enumerate(action.key.split()):
            relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
            await self._homeserver.send(desk, "m.reaction", {"m.relates_to": relation}, f"{txn}.{number}")
        return Done()

    async def _card(self, n: int, *, ring: bool = True) -> tuple[dict[str, Json], RoomId | None, EventId | None]:
        now = self._clock()
        async with self._database.read() as db:
            card = await read_card(db, n, now, self._policy, self._homeserver.user)
            assert card is not None, "a card for a case that does not exist"
            group = await queries.room_view(db, card.case.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
            # No reporter is named: the person it is about may read here one day.
            hides = await reads_along(db, card.case, desk)
            reported = report_lines(await queries.reports_of(db, n), names=False, words=not hides)
            rules = (*self._pipeline.settings.rules, *compiled(group.rules if group else (), self._policy))
            words = await word_lines(db, card.case, self._said_at, rules, self._homeserver.user)
        card = replace(card, gone=await self._is_gone(card.case))
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


def desk_names(speech: Speech, group: RoomView) -> tuple[str, str]:
    """Return the name and the topic of a group's desk, in the group's language."""
    language, called = speech.language(group.language), group.name or group.code
    name = speech.text((line("desk.name", room=called),), language, {}).plain
    return name, speech.text((line("desk.topic", room=called),), language, {}).plain


async def _unless_refused(request: Awaitable[object]) -> None:
    """Await a request, but ignore that somebody refuses or is out of reach: it must not stop the others."""
    try:
        await request
    except (Forbidden, NotFound):
        return
