"""The data that the command `verify` needs, and the way it passes on what was typed.

Left to others: the command (`bot/commands/verify.py`), the dialogue (`dialogue.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.model.actions.people import Verify
from moderation.values.ids import RoomId, UserId
from storage.identity.dialogue_key import DialogueKey

from .method import MethodName
from .redacted_input import Hush


@dataclass(frozen=True, slots=True)
class Asking:
    """The methods that this deployment offers, and the helpers that keep their users' words secret."""

    hush: Hush
    key: DialogueKey
    offered: Sequence[MethodName] = ()

    def action(self, room: RoomId, user: UserId, words: str, on: int) -> Verify:
        """Return the action to queue, with the words sealed. Raises `Locked`."""
        sealed = self.key.seal(words, "said", user, str(on))
        return Verify(room=room, subject=user, sealed=sealed, on=on)
