"""Alerts to the operator outside Matrix."""

from typing import Literal

from .base import OUTSIDE, Action

AlertKind = Literal["due", "overdue", "escalated", "appeal", "removed", "wave", "log"]
OF_GROUPS: frozenset[AlertKind] = frozenset({"removed", "wave"})
OF_CASES: frozenset[AlertKind] = frozenset({"due", "overdue", "escalated", "appeal"})


class Alert(Action, name="alert", priority=OUTSIDE, queue="alert {channel}"):
    """Tell the operator outside Matrix that something needs somebody.

    `channel` is the webhook or a mailbox ("": each that is configured). About a case: it waits for `asked` until `due`.
    """

    channel: str = ""
    what: AlertKind
    n: int = 0
    due: int = 0
    asked: str = "managers"
    code: str = "-"  # what is wrong with the log

    @property
    def merge(self) -> str | None:
        """One mail lists all cases of a room that wait; each call of a webhook tells of one."""
        return f"alert {self.channel} {self.room}" if "@" in self.channel and self.what in OF_CASES else None
