"""The bot is healthy if there is no reason against it; the numbers agree with the reasons, in Prometheus's format."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.monitoring.health import FULL, WRONG, leader_report, reasons
from bot.monitoring.metrics import METRICS
from bot.monitoring.pulse import Pulse
from bot.monitoring.vitals import Standbys, Vitals
from storage.database.following import Follows

WELL = Vitals(
    up_s=60,
    sync_age_s=29.5,
    lag_s=0,
    outbox_waiting=3,
    outbox_oldest_s=2.25,
    gaps_open=1,
    undecryptable=7,
    cases_open=5,
    cases_overdue=4,
    records=1234,
    unsigned=12,
    checkpoint_age_s=59.9,
    disk_free=10**12,
    keys_lost=False,
    clock_doubt="",
    tables_differ=False,
)
OPERATING = (Path(__file__).parents[4] / "docs" / "operating.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"cases_overdue": 10_000, "outbox_waiting": 10_000, "undecryptable": 10_000}, ()),
        ({"sync_age_s": -1}, ("starting",)),
        ({"sync_age_s": 120.1}, ("homeserver_silent",)),
        ({"sync_age_s": 500, "lag_s": 100}, ()),  # it answered much, which is being recorded
        ({"sync_age_s": 500, "lag_s": 121}, ("behind",)),
        ({"outbox_oldest_s": 901}, ("outbox_stuck",)),
        ({"checkpoint_age_s": 86_400, "unsigned": 0}, ()),  # a quiet log needs no signature
        ({"checkpoint_age_s": 601}, ("not_signed",)),
        ({"keys_lost": True}, ("keys_lost",)),
        ({"clock_doubt": "homeserver"}, ("clock",)),
        ({"clock_doubt": "unheard", "sync_age_s": -1}, ("starting",)),
        ({"disk_free": FULL - 1}, ("disk_full",)),
        ({"tables_differ": True}, ("tables",)),
        ({"sync_age_s": 121, "keys_lost": True, "disk_free": 0}, ("homeserver_silent", "keys_lost", "disk_full")),
    ],
)
def test_exactly_the_defined_reasons_are_reported(change: dict[str, float], expected: tuple[str, ...]) -> None:
    assert reasons(replace(WELL, **change)) == expected  # type: ignore[arg-type]


def text(vitals: Vitals) -> str:
    return leader_report(vitals).metrics


def test_the_page_for_prometheus_is_three_lines_a_number() -> None:
    lines = text(WELL).splitlines()
    ours = [name for name in METRICS if name != "answerable_standby_level_age_seconds"]  # of a standby
    assert len(lines) == 3 * len(ours)
    for name, (about, kind, value) in zip(ours, zip(*[iter(lines)] * 3, strict=True), strict=True):
        assert (about, kind) == (f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge")
        assert re.fullmatch(rf"{name} -?\d+(\.\d+)?", value)
    assert "answerable_sync_age_seconds 29.5\n" in text(WELL)
    assert "answerable_journal_records 1234\n" in text(WELL)
    assert "answerable_standbys 0\n" in text(WELL)
    assert "answerable_leads 1\n" in text(WELL)
    assert leader_report(WELL).role == "leader"
    assert "answerable_healthy 1\n" in text(WELL)
    assert "answerable_healthy 0\n" in text(replace(WELL, keys_lost=True))


def test_the_page_counts_the_machines_that_follow() -> None:
    found = [Follows("b", 3, 2.0, ""), Follows("c", 7, 1.0, ""), Follows("gone", 900, 61.0, "a damaged day")]
    page = text(replace(WELL, standbys=Standbys.of(found)))
    assert "answerable_standbys 2\n" in page
    assert "answerable_standby_behind_records 7\n" in page
    assert "answerable_standby_unfinished 1\n" in page


def test_the_page_counts_the_shards_of_which_nothing_or_too_much_is_heard() -> None:
    page = text(replace(WELL, shards_unheard=2, shards_held_back=1))
    assert "answerable_shards_unheard 2\n" in page
    assert "answerable_shards_held_back 1\n" in page


@pytest.mark.parametrize("word", [*METRICS, *WRONG])
def test_every_reason_is_documented_with_its_remedy(word: str) -> None:
    assert f"`{word}`" in OPERATING


def test_lag_runs_from_receipt_to_record() -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    now[0] = 10
    assert (pulse.still_s, pulse.lag_s) == (10, 0)
    pulse.arrived()
    now[0] = 15
    pulse.beat()  # asking again, in the middle
    now[0] = 17
    assert (pulse.still_s, pulse.lag_s) == (2, 7)
    pulse.taken()
    assert (pulse.still_s, pulse.lag_s) == (0, 0)
