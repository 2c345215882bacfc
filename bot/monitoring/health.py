"""The health of the bot that moderates, as a pure function of one look: no reason, or all reasons why it is not well.

Rules kept here:
- What only people can mend (a case that nobody decides) does not count.
- The codes are documented, with what to do, in `docs/operating.md`, and never change.

Left to others: the health of a standby (`standby_health.py`).
"""

from collections.abc import Callable, Mapping

from .metrics import text
from .report import HealthReport
from .vitals import Vitals

SILENT_S = 120.0  # the homeserver holds an answer back for 30 s at most
BEHIND_S = 120.0
STUCK_S = 900.0
UNSIGNED_S = 600.0  # signed each minute
FULL = 100 << 20

WRONG: Mapping[str, Callable[[Vitals], bool]] = {
    "starting": lambda vitals: vitals.sync_age_s < 0,
    "homeserver_silent": lambda vitals: vitals.sync_age_s > SILENT_S and not vitals.lag_s,
    "behind": lambda vitals: vitals.lag_s > BEHIND_S,
    "outbox_stuck": lambda vitals: vitals.outbox_oldest_s > STUCK_S,
    "not_signed": lambda vitals: vitals.unsigned > 0 and vitals.checkpoint_age_s > UNSIGNED_S,
    "tables": lambda vitals: vitals.tables_differ,
    "keys_lost": lambda vitals: vitals.keys_lost,
    "clock": lambda vitals: vitals.clock_doubt != "" and vitals.sync_age_s >= 0,
    "disk_full": lambda vitals: vitals.disk_free < FULL,
}


def reasons(vitals: Vitals) -> tuple[str, ...]:
    """Return why the bot is not well; nothing if it is."""
    return tuple(code for code, is_wrong in WRONG.items() if is_wrong(vitals))


def leader_report(vitals: Vitals) -> HealthReport:
    """Return what the pages say of the bot that moderates."""
    found = reasons(vitals)
    numbers = {
        "answerable_healthy": not found,
        "answerable_leads": True,
        "answerable_up_seconds": vitals.up_s,
        "answerable_sync_age_seconds": vitals.sync_age_s,
        "answerable_lag_seconds": vitals.lag_s,
        "answerable_outbox_waiting": vitals.outbox_waiting,
        "answerable_outbox_oldest_seconds": vitals.outbox_oldest_s,
        "answerable_gaps_open": vitals.gaps_open,
        "answerable_undecryptable_events": vitals.undecryptable,
        "answerable_cases_open": vitals.cases_open,
        "answerable_cases_overdue": vitals.cases_overdue,
        "answerable_journal_records": vitals.records,
        "answerable_journal_unsigned_records": vitals.unsigned,
        "answerable_checkpoint_age_seconds": vitals.checkpoint_age_s,
        "answerable_disk_free_bytes": vitals.disk_free,
        "answerable_keys_lost": vitals.keys_lost,
        "answerable_tables_differ": vitals.tables_differ,
        "answerable_standbys": vitals.standbys.there,
        "answerable_standby_behind_records": vitals.standbys.behind,
        "answerable_standby_unfinished": vitals.standbys.unfinished,
        "answerable_shards_unheard": vitals.shards_unheard,
        "answerable_shards_held_back": vitals.shards_held_back,
    }
    return HealthReport("leader", found, text(numbers))
