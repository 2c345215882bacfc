"""Merging of the messages that ring about one case, so that one cause rings a person once.

Rules kept here:
- Everything that rings for one case becomes one message in its thread.
- If the card of the case is posted for the same cause, the card rings and the message does not.

Left to others: which messages ring (`moderation/consequences.py`), who is mentioned (`bot/effects/send_notice.py`,
`bot/effects/desk.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from moderation.values.ids import RoomId

from .actions import Action, PostCard, TellDesk


def rung_once(actions: Sequence[Action]) -> list[Action]:
    """Return the actions of one cause with at most one that rings for each case."""
    with_card = {action.n for action in actions if isinstance(action, PostCard)}
    kept: list[Action] = []
    first: dict[tuple[RoomId, int], int] = {}  # case -> where its message stands in `kept`
    for action in actions:
        if not isinstance(action, TellDesk) or not action.ring:
            kept.append(action)
            continue
        at = first.setdefault((action.room, action.n), len(kept))
        if at == len(kept):
            kept.append(replace(action, ring=action.n not in with_card))
        else:
            kept[at] = _joined(kept[at], action)
    return kept


def _joined(before: Action, after: TellDesk) -> TellDesk:
    assert isinstance(before, TellDesk)
    return replace(before, lines=(*before.lines, *after.lines))
