"""The answers to the callbacks: what goes through, and what is refused in which words.

Rules kept here:
- What is not about a room that is served goes through without a look into the tables.
- The person reads why, in the language of the room; how to go on stands in what the bot writes to them alone.

Left to others: what is asked (`protocol.py`), who is kept out (`door.py`), which events are refused (`messages.py`).
"""

from collections.abc import Sequence

import orjson

from bot.outside.gate import may_send
from bot.pipeline.beforehand import RefusedIn
from bot.texts.beforehand import refused_words
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.judge.room_rules import compiled
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.notices import Line

from .door import Doorkeeper
from .front_process import GOES_THROUGH, CallbackAnswer
from .messages import MessageJudge
from .protocol import DoorQuestion, EventQuestion, Ping, question_of

REFUSED = 403
_FORBIDDEN = "M_FORBIDDEN"


class Antispam:
    """The answers of one deployment."""

    def __init__(
        self, door: Doorkeeper, messages: MessageJudge, catalog: Catalog, speech: Speech, policy: Policy
    ) -> None:
        self._door = door
        self._messages = messages
        self._catalog = catalog
        self._speech = speech
        self._policy = policy

    async def answer(self, callback: str, body: bytes, by_ms: int) -> CallbackAnswer:
        """Return the answer to a callback with this body; `by_ms` says until when it matters (`frames.now_ms`).

        Waits at the gate (`bot/outside/`): while another process may lead, Synapse goes on without an answer.
        """
        answer = await self._judged(callback, body, by_ms)
        await may_send()
        return answer

    async def _judged(self, callback: str, body: bytes, by_ms: int) -> CallbackAnswer:
        match question_of(callback, body):
            case Ping() as ping:
                return CallbackAnswer(200, orjson.dumps({"id": ping.id, "status": "ok"}))
            case DoorQuestion() as asked:
                kept = await self._door.ask(asked)
                return self._kept_out(*kept) if kept is not None else GOES_THROUGH
            case EventQuestion() as asked:
                refused = await self._messages.ask(asked, by_ms)
                return self._not_delivered(refused) if refused is not None else GOES_THROUGH
        return GOES_THROUGH

    def _kept_out(self, room: RoomView, lines: Sequence[Line]) -> CallbackAnswer:
        return _refused(self._speech.text(lines, self._speech.language(room.language), {}).plain)

    def _not_delivered(self, refused: RefusedIn) -> CallbackAnswer:
        room = refused.room
        rules = (*self._policy.rules, *(rule.settings for rule in compiled(room.rules, self._policy)))
        words = refused_words(
            self._catalog, self._speech, refused.refusal, room.language, rules, recorded=refused.recorded
        )
        return _refused(words)


def _refused(words: str) -> CallbackAnswer:
    return CallbackAnswer(REFUSED, orjson.dumps({"errcode": _FORBIDDEN, "error": words}))
