"""Notifications: who is told of which facts. They become messages only in the words of `bot/texts`.

Rules kept here:
- A notification names its readers and holds the facts themselves, in the order in which they are told.
- Everything that rings for one case is one notification in its thread.
- If the card of the case is posted for the same cause, the card rings and the notification does not.

Left to others: who is told what (`moderation/consequences/`), the words (`bot/texts/notifications.py`), who is
mentioned (`bot/effects/send_notice.py`, `bot/effects/desk.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from moderation.values.ids import RoomId, UserId

from .actions.base import Action
from .actions.cards import PostCard
from .context import CaseView
from .facts import CaseDecided, Fact

Remedy = Literal["", "comment", "appeal", "again"]  # what the person can do now; "again": ask the operator once more
# Who hears the appeal: somebody who did not decide, the decider alone, or whichever operator sits at the terminal.
Hearer = Literal["other", "decider", "terminal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Base of all notifications. `room` is the one that they concern, `n` the case."""

    room: RoomId
    facts: tuple[Fact, ...]
    n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRoom(Notification):
    """Tell everybody in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyDesk(Notification):
    """Tell the managers of the room; `ring`: mention those who are responsible for the case."""

    ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyAbove(Notification):
    """Tell the operators, and with `owners` the owners of the room; `first`: before its power levels change."""

    owners: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyPerson(Notification):
    """Tell one person. `outcomes`: what became of their reports."""

    subject: UserId
    outcomes: tuple[CaseDecided, ...] = ()
    asks: int = 0  # the case in which they are asked for a decision
    case: CaseView | None = None  # the case about them, as it is now
    sent: int = 0  # when the first message of the case was sent
    remedy: Remedy = ""
    hearer: Hearer = "other"
    alone: bool = False  # the room may not even show that there is something to tell


def rung_once(actions: Sequence[Action | Notification]) -> list[Action | Notification]:
    """Return what follows from one cause with at most one notification that rings for each case."""
    with_card = {action.n for action in actions if isinstance(action, PostCard)}
    kept: list[Action | Notification] = []
    first: dict[tuple[RoomId, int], int] = {}  # case -> where its notification stands in `kept`
    for action in actions:
        if not isinstance(action, NotifyDesk) or not action.ring:
            kept.append(action)
            continue
        at = first.setdefault((action.room, action.n), len(kept))
        if at == len(kept):
            kept.append(replace(action, ring=action.n not in with_card))
        else:
            kept[at] = _joined(kept[at], action)
    return kept


def _joined(before: Action | Notification, after: NotifyDesk) -> NotifyDesk:
    assert isinstance(before, NotifyDesk)
    return replace(before, facts=(*before.facts, *after.facts))
