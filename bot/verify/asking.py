"""What the command `verify` needs to know, and how it hands on what was typed.

Left to others: the command (`bot/commands/verify.py`), the dialogue (`flow.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.actions import Verify
from moderation.ids import RoomId, UserId
from storage.identity_dialogue import DialogueKey

from .hush import Hush
from .port import MethodName


@dataclass(frozen=True, slots=True)
class Asking:
    """The methods that this deployment offers, and what keeps the words of those who use them to itself."""

    hush: Hush
    key: DialogueKey
    offered: Sequence[MethodName] = ()

    def action(self, room: RoomId, user: UserId, words: str, on: int) -> Verify:
        """What is queued. Raises `Locked`."""
        sealed = self.key.seal(words, "said", user, str(on))
        return Verify(room=room, subject=user, sealed=sealed, on=on)
