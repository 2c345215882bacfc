"""A request for an operation, as it comes over the socket or from the command line.

Rules kept here:
- What was typed wrongly is answered.
- The user at the terminal is known; behind `sudo`, the one who called it. Only the bot's own account or root get here.

Left to others: who may ask (`control_socket.py`), what is done (the file of each operation).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moderation.values.errors import Refused
from moderation.values.ids import UserId, is_user_id

Progress = Callable[[int, int], None]  # done, all


def no_progress(_done: int, _all: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of an operation, the account of this machine that asks, and whom to tell how far it is."""

    arguments: Mapping[str, Any]
    who: str
    progress: Progress = no_progress

    @property
    def reader(self) -> str:
        """The user to record."""
        return self.string("reader") or self.who

    @property
    def reason(self) -> str:
        """The reason to record."""
        return str(self.arguments["reason"])

    @property
    def person(self) -> UserId:
        """The person it is about. Raises `Refused` if that is no Matrix id."""
        typed = self.string("person")
        if not is_user_id(typed):
            raise Refused("error.user.form", given=typed[:60])
        return UserId(typed)

    def string(self, name: str) -> str:
        """Return an argument as text; empty if it was not given."""
        return str(self.arguments.get(name) or "")

    def number(self, name: str) -> int:
        """Return an argument as a number; 0 if it was not given."""
        return int(self.arguments.get(name) or 0)


Operation = Callable[[Request], Awaitable[dict[str, Any]]]
ByName = Mapping[str, Operation]  # by the names that `Control` uses
