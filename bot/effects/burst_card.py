"""The common card of a burst of cases in the desk: posted with its first case, edited as more come.

Rules kept here:
- An edit that shows nothing new is not sent, and there are some seconds between two edits: in a raid the homeserver's
  time is for removals.

Left to others: which cases are in a burst (`moderation/cases/bursts.py`), the words (`bot/texts/burst_card.py`).
"""

from dataclasses import dataclass

from bot.bot_rooms.shared_desks import must_show
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, Services
from bot.pipeline.returned_cards import with_card_mark
from bot.texts.burst_card import burst_lines
from bot.texts.matrix_message import MESSAGE, replacing
from bot.texts.names import names_in
from moderation.cases.bursts import LASTS_MS
from moderation.model.actions.cards import EditBurst, PostBurst, SupersedeCard
from moderation.values.events import Json
from moderation.values.ids import CaseNumber, EventId, RoomId
from storage import queries

EVERY_MS = 5_000


@dataclass(frozen=True, slots=True)
class _LastShown:
    """The content that a card shows, and when it was sent."""

    content: dict[str, Json]
    at_ms: int


class BurstCards(ActionHandler):
    """The handlers of `PostBurst` and `EditBurst`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._shown: dict[EventId, _LastShown] = {}  # by the card; after a start nothing is known
        self.handles: Handlers = {PostBurst: self.post, EditBurst: self.edit}

    async def post(self, action: PostBurst, txn: str) -> Done:
        """Post the card, and again if its room moves to another desk meanwhile."""
        content, desk = await self._content(action.room, action.n)
        made = await self._homeserver.send(desk, MESSAGE, with_card_mark(content, action.n, txn, PostBurst), txn)
        self._note(made, content)
        now = await self._database.fetch(queries.desk_used_by, action.room, self._homeserver.user)
        if now is None or now.room != desk:
            return Done(made=made, actions=(SupersedeCard(room=desk, event=made, moved=True), action))
        return Done(made=made)

    async def edit(self, action: EditBurst, txn: str) -> Done:
        """Edit the card so that it shows all cases of the burst as they are now."""
        card = await self._database.fetch(queries.burst_card, action.n)
        if card is None:  # it is posted soon, or could not be
            return Done(result="abandoned")
        before = self._shown.get(card)
        if before is not None and (wait := before.at_ms + EVERY_MS - self._clock()) > 0:
            raise PollAgain(wait)
        content, desk = await self._content(action.room, action.n)
        if before is not None and content == before.content:
            return Done()
        made = await self._homeserver.send(desk, MESSAGE, replacing(content, card), txn)
        self._note(card, content)
        return Done(made=made)

    def _note(self, card: EventId, content: dict[str, Json]) -> None:
        now = self._clock()
        recent = {each: shown for each, shown in self._shown.items() if now - shown.at_ms < LASTS_MS}
        self._shown = {**recent, card: _LastShown(content, now)}

    async def _content(self, room: RoomId, n: CaseNumber) -> tuple[dict[str, Json], RoomId]:
        """Return the card, and the desk that shows it. Raises `RetryLater` if there is none yet."""
        async with self._database.read() as db:
            burst = await queries.burst_view(db, n)
            assert burst is not None, "a card for a burst that does not exist"
            group = await queries.room_view(db, room, self._homeserver.user)
            desk = must_show(await queries.desk_used_by(db, room, self._homeserver.user), room)
            language = self._speech.language(group.language if group else "")
            lines = tuple(burst_lines(burst, self._prefix, names_room=desk.is_shared))
            names = await names_in(db, lines, language, room)
        return self._speech.message(lines, language, names), desk.room
