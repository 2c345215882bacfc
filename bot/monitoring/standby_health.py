"""The health of a standby: whether it follows the leader and could take its place.

Rules kept here:
- The codes are documented, with what to do, in `docs/operating.md`, and never change.
- A standby counts as behind after the time after which the leader counts it as gone.

Left to others: the look itself (`bot/leading/standby.py`), the health of a leader (`health.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from storage.database.following import SILENT_S

from .health import FULL
from .metrics import text
from .report import HealthReport

Obstacle = Literal["", "keys", "moved", "newer"]  # why this machine may not lead


@dataclass(frozen=True, slots=True)
class StandbyVitals:
    """The figures of one look at a standby.

    `level_age_s`: the seconds since it last had all records of the leader; -1: not yet.
    """

    level_age_s: float
    records: int
    database_away: bool
    obstacle: Obstacle
    unfinished: bool  # an erasure or a purge could not be carried out here
    disk_free: int


WRONG: Mapping[str, Callable[[StandbyVitals], bool]] = {
    "database_away": lambda vitals: vitals.database_away,
    "starting": lambda vitals: vitals.level_age_s < 0 and not vitals.database_away,
    "behind": lambda vitals: vitals.level_age_s > SILENT_S and not vitals.database_away,
    "keys": lambda vitals: vitals.obstacle == "keys",
    "moved": lambda vitals: vitals.obstacle == "moved",
    "newer": lambda vitals: vitals.obstacle == "newer",
    "disk_full": lambda vitals: vitals.disk_free < FULL,
}


def standby_report(vitals: StandbyVitals) -> HealthReport:
    """Return what the pages say of a standby."""
    found = tuple(code for code, is_wrong in WRONG.items() if is_wrong(vitals))
    numbers = {
        "answerable_healthy": not found,
        "answerable_leads": False,
        "answerable_journal_records": vitals.records,
        "answerable_disk_free_bytes": vitals.disk_free,
        "answerable_standby_level_age_seconds": vitals.level_age_s,
        "answerable_standby_unfinished": vitals.unfinished,
    }
    return HealthReport("standby", found, text(numbers))
