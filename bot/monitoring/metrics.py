"""One look in Prometheus' text format (version 0.0.4).

Written by hand: it is one line a number, and the library for it brings a registry that lives in the process and another
server.

Rules kept here:
- Names end in their unit.
- No label has a value that people choose.
"""

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METRICS: dict[str, str] = {
    "answerable_healthy": "1: well. 0: /health says why not.",
    "answerable_leads": "1: this process moderates. 0: it starts, or stands by.",
    "answerable_up_seconds": "Since the start.",
    "answerable_sync_age_seconds": "Since the homeserver last answered; -1: not yet.",
    "answerable_lag_seconds": "How long ago it handed over what is not recorded yet; 0: all is.",
    "answerable_outbox_waiting": "Requests to the homeserver that wait.",
    "answerable_outbox_oldest_seconds": "Since the first of them was queued.",
    "answerable_gaps_open": "Rooms in which something older is being fetched.",
    "answerable_undecryptable_events": "Encrypted events that wait for their key.",
    "answerable_cases_open": "Cases that are not decided.",
    "answerable_cases_overdue": "Of these, cases past a deadline.",
    "answerable_journal_records": "Records in the log, counted from its beginning.",
    "answerable_journal_unsigned_records": "Of these, records that no checkpoint covers yet.",
    "answerable_checkpoint_age_seconds": "Since the log was last signed.",
    "answerable_disk_free_bytes": "Free on the disk of the data directory.",
    "answerable_keys_lost": "1: the keys for encrypted rooms are lost.",
    "answerable_tables_differ": "1: a row of the database is not what the records say.",
    "answerable_standbys": "Machines that follow the log, and said so within the last minute.",
    "answerable_standby_behind_records": "Records that the last of them does not have yet.",
    "answerable_standby_level_age_seconds": "Of a standby: since it last had all records; -1: not yet.",
    "answerable_standby_unfinished": "1: a standby could not carry out an erasure or a purge.",
    "answerable_shards_unheard": "Other shards that run and tell nothing, or of which nothing more can be taken.",
    "answerable_shards_held_back": "Other shards that publish so much that the rest is read later.",
}


def text(numbers: Mapping[str, float]) -> str:
    """Return the page with these numbers, in the order of `METRICS`."""
    return "".join(
        f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{name} {_number(numbers[name])}\n"
        for name, meaning in METRICS.items()
        if name in numbers
    )


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(int(value))
