"""One look at this process as the pages of monitoring show it, whichever part of the program took it.

Rules kept here:
- It always names the role, so that nobody takes a standby for the bot that moderates.
- A process that neither leads nor follows yet is not healthy.

Left to others: looking (`vitals.py`, `standby_health.py`), the pages (`page.py`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from .metrics import text

Role = Literal["starting", "standby", "leader"]  # without PostgreSQL there are no standbys


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answer of both pages. `reasons`: why the process is not well; `metrics`: the page for Prometheus."""

    role: Role
    reasons: tuple[str, ...]
    metrics: str


Source = Callable[[], Awaitable[HealthReport]]


async def starting() -> HealthReport:
    """Return the report of a process that neither leads nor stands by yet."""
    return _not_yet("starting")


async def starting_to_lead() -> HealthReport:
    """Return the report of a leader that has not opened its session or its stores yet."""
    return _not_yet("leader")


def _not_yet(role: Role) -> HealthReport:
    return HealthReport(role, ("starting",), text({"answerable_healthy": 0, "answerable_leads": role == "leader"}))
