"""The quotations of messages that waited for a manager: in the desk at first, in the group once they are allowed.

Rules kept here:
- The words come from the journal, since the message is gone from the room.
- They are escaped and mention nobody, and the target of a link behind other words is shown. In the desk no link can be
  opened by a tap.
- A file is posted again under its own address.

Left to others: whose messages wait (`moderation/credit/waiting.py`), the card (`desk.py`).
"""

from collections.abc import Callable

from bot.bot_rooms.shared_desks import must_show
from bot.events.parse_texts import GALLERY_KEYS
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.texts.matrix_message import MESSAGE, in_thread
from moderation.model.actions.cards import Quote
from moderation.model.actions.telling import Tell
from moderation.model.context import CaseView
from moderation.model.facts.cases import EXCERPT
from moderation.rules.addresses import hrefs
from moderation.values.events import Json, MessagePosted
from moderation.values.ids import EventId, RoomId
from moderation.values.notices import Quoted, RoomName, Who, line
from storage import queries

MOST = 8_000  # characters of a quotation: text and HTML of it fit into one event
_MATRIX = ("matrix.to",)
_TYPES = {"image": "m.image", "sticker": "m.image", "video": "m.video", "audio": "m.audio", "voice": "m.audio"}

Recorded = Callable[[RoomId, int], MessagePosted | None]  # the message of this room recorded at an index


class Quoter(ActionHandler):
    """The handler of `Quote`."""

    def __init__(self, services: Services, recorded: Recorded) -> None:
        super().__init__(services)
        self._recorded = recorded
        self.handles: Handlers = {Quote: self.handle}

    async def handle(self, action: Quote, txn: str) -> Done:
        """Post one message in the thread of its card, or all messages of the case in the group."""
        async with self._database.read() as db:
            case = await queries.case_view(db, action.n)
            group = await queries.room_view(db, action.room, self._homeserver.user)
            view = await queries.desk_used_by(db, action.room, self._homeserver.user) if action.event else None
        if case is None or group is None or not group.active or (action.event and view is None):
            return Done(result="abandoned")
        desk = must_show(view, action.room).room if action.event else None
        if desk and not case.card:
            raise RetryLater("the card is not posted yet", tries=20, first_ms=100, last_ms=60_000)
        where, card = (desk, case.card) if desk else (action.room, None)
        made = ""
        all_of_it = [event for event in case.events if event in {*case.messages, *case.withheld}]
        for number, event in enumerate([action.event] if action.event else all_of_it):
            content = await self._content(case, event, self._speech.language(group.language), action)
            if content is not None:
                made = await self._homeserver.send(where, MESSAGE, in_thread(content, card), f"{txn}.{number}")
        if made or action.event:
            return Done(made=made)
        lost = line("notice.waited.not-kept", room=RoomName(case.room), n=case.n)
        return Done(result="abandoned", actions=(Tell(room=case.room, subject=case.subject, lines=(lost,), n=case.n),))

    async def _content(self, case: CaseView, event: EventId, language: str, action: Quote) -> dict[str, Json] | None:
        """Return the quotation of a message; None if nothing was kept of it, or the card shows all of it."""
        row = await self._database.fetch(queries.said_row, event)
        said = self._recorded(case.room, row.record) if row is not None else None
        if said is None:
            return None
        words, first = _words(said), event == case.events[0]
        if action.event and first and not said.media and words == said.body and len(words) <= EXCERPT:
            return None
        shown = words[:MOST] + "…" if len(words) > MOST else words
        said_by = (line("quote.said", who=Who(said.sender), words=Quoted(shown) if action.event else shown),)
        content = self._speech.message(said_by, language, {})
        return {**content, **_file(said)}


def _words(said: MessagePosted) -> str:
    """Return the text, followed by the targets of links that are hidden behind other words."""
    hidden = [link.written for link in hrefs(said) if link.hosts != _MATRIX and link.written not in said.body]
    return " ".join([said.body, *hidden])


def _file(said: MessagePosted) -> dict[str, Json]:
    sent = next((file for file in said.media if file.is_sent and file.url), None)
    if sent is None:
        return {}
    edited = said.content.get("m.new_content")
    content = edited if isinstance(edited, dict) else said.content
    if any(key in content for key in GALLERY_KEYS):
        return {name: content[name] for name in (*GALLERY_KEYS, "msgtype") if name in content}
    kept: dict[str, Json] = {"file": dict(sent.sealed)} if sent.sealed else {"url": sent.url}
    kept |= {"info": content["info"]} if "info" in content else {}
    name = content.get("filename") or content.get("body") or sent.kind
    return {**kept, "msgtype": _TYPES.get(sent.kind, "m.file"), "filename": name}
