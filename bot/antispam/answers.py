"""The answers to the callbacks: what goes through, and what is refused in which words.

Rules kept here:
- What is not about a room that is served goes through without a look into the tables.
- The person reads why, in the language of the room; how to go on stands in what the bot writes to them alone.

Left to others: what is asked (`protocol.py`), who is kept out (`door.py`), which events are refused (`messages.py`).
"""

from collections.abc import Sequence

import orjson

from bot.texts.matrix_message import Speech
from moderation.model.context import RoomView
from moderation.values.notices import Line

from .door import Doorkeeper
from .front_process import GOES_THROUGH, CallbackAnswer
from .protocol import DoorQuestion, Ping, question_of

REFUSED = 403
_FORBIDDEN = "M_FORBIDDEN"


class Antispam:
    """The answers of one deployment."""

    def __init__(self, door: Doorkeeper, speech: Speech) -> None:
        self._door = door
        self._speech = speech

    async def answer(self, callback: str, body: bytes, by_ms: int) -> CallbackAnswer:  # noqa: ARG002
        """Return the answer to a callback with this body; `by_ms` says until when it matters (`frames.now_ms`)."""
        match question_of(callback, body):
            case Ping() as ping:
                return CallbackAnswer(200, orjson.dumps({"id": ping.id, "status": "ok"}))
            case DoorQuestion() as asked:
                kept = await self._door.ask(asked)
                return self._refused(*kept) if kept is not None else GOES_THROUGH
        return GOES_THROUGH

    def _refused(self, room: RoomView, lines: Sequence[Line]) -> CallbackAnswer:
        said = self._speech.text(lines, self._speech.language(room.language), {room.room: room.name})
        return CallbackAnswer(REFUSED, orjson.dumps({"errcode": _FORBIDDEN, "error": said.plain}))
