"""The protections of a room in words, as `!status` shows them: one line for each that is on.

Left to others: the rules one by one (`bot/commands/info.py`), measures in force (`measure_lines.py`).
"""

from collections.abc import Callable, Iterator

from moderation.model.context import RoomView
from moderation.people.verification import asked_of
from moderation.policy import Policy
from moderation.values.notices import Line, Phrase, line

from .newcomer_lines import newcomer_lines
from .wave_lines import join_lines


def protections(policy: Policy, room: RoomView) -> list[Line]:
    """List what protects a room under the `policy` that holds there, its own rules included."""
    return [line("status.protects.head"), *(each for protection in _PROTECTIONS for each in protection(policy, room))]


def _rules(policy: Policy, room: RoomView) -> Iterator[Line]:
    count = sum(room.is_among(rule.rooms) and not rule.dry_run for rule in policy.rules)
    yield line("status.protects.rules", count=count) if count else line("status.protects.no-rules")


def _verification(policy: Policy, room: RoomView) -> Iterator[Line]:
    asked = asked_of(room, policy)
    if asked.of_members:
        yield line("status.protects.verify", level=asked.write, below=Phrase(f"set.below.{asked.below}"))


# In the order in which they are shown; each yields its line if it is on.
_PROTECTIONS: tuple[Callable[[Policy, RoomView], Iterator[Line]], ...] = (
    _rules,
    _verification,
    newcomer_lines,
    join_lines,
)
