"""The messages that the bot sends: answers in rooms, messages to one person, messages to the managers.

Rules kept here:
- A person is told in a direct room.
- If they refuse one (`M_INVITE_BLOCKED` or another refusal), a short notice without details goes to the room that the
  message concerns, unless even that would give them away.
- If that fails too, the record says that it was tried.

Left to others: the words (`bot/texts/`), cards (`desk.py`), when to say what (`moderation/consequences/`).
"""

from collections.abc import Sequence
from dataclasses import replace

from bot.bot_rooms.direct_rooms import DirectRooms
from bot.bot_rooms.shared_desks import must_show
from bot.matrix.errors import Forbidden, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.matrix_message import MESSAGE, in_reply, in_thread
from bot.texts.names import names_in
from bot.texts.report_lines import reads_along
from moderation.model.actions.telling import Say, Tell, TellDesk
from moderation.model.facts import NoticeChannel, NoticeGiven
from moderation.rooms.desks import DeskView
from moderation.values.events import Json
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, RoomName, Who, line, rooms_named
from storage import queries


class Notifier(ActionHandler):
    """The handlers of `Say`, `Tell` and `TellDesk`."""

    def __init__(self, services: Services, direct: DirectRooms) -> None:
        super().__init__(services)
        self._direct = direct
        self.handles: Handlers = {Say: self.say, Tell: self.tell, TellDesk: self.tell_desk}

    async def say(self, action: Say, txn: str) -> Done:
        """Send an answer, or a message to everybody, in the room itself."""
        language, names = await self._reader(action.room, action.to, action.lines, action.language)
        content = self._speech.message(action.lines, language, names, to=[action.to] if action.to else [], answer=True)
        made = await self._homeserver.send(action.room, MESSAGE, in_reply(content, action.reply_to, action.thread), txn)
        return Done(made=made)

    async def tell_desk(self, action: TellDesk, txn: str) -> Done:
        """Send a message to the managers of a room, in the thread of the case if there is one.

        If it is for rooms that no longer share a desk, one for each room is sent instead.
        """
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            used = await queries.desk_used_by(db, action.room, self._homeserver.user)
            desk = used.room if used else None
            case = await queries.case_view(db, action.n) if action.n else None
            ring = await queries.rung_for(db, case, desk) if case and desk and action.ring else ()
            common = await queries.burst_card(db, case.burst) if case else None
            hides = action.discreet and case is not None and await reads_along(db, case, desk)
        if action.apart and not _serves(used, action.room, *action.also):
            return Done(actions=action.apart)
        if group is None or not group.active:
            return Done(result="abandoned")
        view = must_show(used, action.room, *action.also)
        lines = (*_about(view, action), *(action.discreet if hides else action.lines))
        language, names = await self._reader(action.room, None, lines, about=case.subject if case else None)
        content = self._speech.message(lines, language, names, to=ring)
        # A measure for all rooms is based on a case of one room, whose card is only in that room's desk.
        card = (case.card or common) if case and any(case.room == staff.room for staff in view.users) else None
        made = await self._homeserver.send(view.room, MESSAGE, in_thread(content, card), txn)
        return Done(made=made)

    async def tell(self, action: Tell, txn: str) -> Done:
        """Send a message to one person."""
        language, names = await self._reader(action.room, action.subject, action.lines)
        try:
            direct = await self._direct.with_(action.subject, language)
            content = self._speech.message(action.lines, language, names, to=[action.subject])
            made = await self._homeserver.send(direct, MESSAGE, content, txn)
        except (Forbidden, NotFound) as error:
            if action.alone:
                return Done(_given(action, "none"), result="refused", code=error.errcode or "-")
            return await self._tell_in_room(action, txn, language, names)
        return Done(_given(action, "direct"), made=made)

    async def _tell_in_room(self, action: Tell, txn: str, language: str, names: dict[str, str]) -> Done:
        """Send, as the last resort, a notice without details in the room, where others can read it."""
        hint = line("notice.in-room", who=Who(action.subject), ask=Code(f"{self._prefix}why"))
        content: dict[str, Json] = self._speech.message((hint,), language, names, to=[action.subject])
        try:
            made = await self._homeserver.send(action.room, MESSAGE, content, f"{txn}.room")
        except (Forbidden, NotFound) as error:
            return Done(_given(action, "none"), result="refused", code=error.errcode or "-")
        return Done(_given(action, "room"), made=made)

    async def _reader(
        self,
        room: RoomId,
        user: UserId | None,
        lines: Sequence[Line],
        chosen: str = "",
        *,
        about: UserId | None = None,
    ) -> tuple[str, dict[str, str]]:
        """Return the language of the person or room that reads these lines, and the names of the rooms in them."""
        async with self._database.read() as db:
            view = await queries.room_view(db, room, self._homeserver.user)
            served = view.serves if view else ()
            spoken = await queries.room_language(db, served[0] if served else room)
            in_desk = view is not None and view.purpose == "desk"  # which speaks with one voice to all who read there
            own = await queries.language_of(db, user) if user and not in_desk else ""
            language = self._speech.language(chosen, own, spoken)
            people = filter(None, (user, about))
            to = None if in_desk or user in self._policy.operators else user
            return language, await names_in(db, lines, language, room, *served, about=people, to=to)


def _serves(desk: DeskView | None, *rooms: RoomId) -> bool:
    """Return whether all these rooms use the desk."""
    return desk is not None and {staff.room for staff in desk.users}.issuperset(rooms)


def _about(desk: DeskView, action: TellDesk) -> tuple[Line, ...]:
    """Name the rooms that a message in a shared desk is about, unless it is about all of them or names them itself."""
    about = {action.room, *action.also}
    if action.n or about >= {staff.room for staff in desk.users} or about & rooms_named(action.lines):
        return ()
    return tuple(line("desk.about", room=RoomName(room)) for room in sorted(about))


def _given(action: Tell, channel: NoticeChannel) -> tuple[NoticeGiven, ...]:
    what = action.lines[0].key if action.lines else "-"
    given = NoticeGiven(
        room=action.room,
        what=what[:64],
        n=action.n,
        asks=action.asks,
        channel=channel,
        subject=action.subject,
    )
    return (given, *(replace(given, n=n) for n in action.also))
