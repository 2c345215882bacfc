"""A standby is healthy if it follows and could lead; the page names each reason why not."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.monitoring.health import FULL
from bot.monitoring.report import starting, starting_to_lead
from bot.monitoring.standby_health import WRONG, StandbyVitals, standby_report

WELL = StandbyVitals(
    level_age_s=0.25, records=1234, database_away=False, obstacle="", unfinished=False, disk_free=10**12
)
OPERATING = (Path(__file__).parents[4] / "docs" / "operating.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"level_age_s": -1}, ("starting",)),
        ({"level_age_s": 59.9}, ()),
        ({"level_age_s": 60.1}, ("behind",)),
        ({"level_age_s": 600, "database_away": True}, ("database_away",)),
        ({"level_age_s": -1, "database_away": True}, ("database_away",)),
        ({"obstacle": "keys"}, ("keys",)),
        ({"obstacle": "moved"}, ("moved",)),
        ({"obstacle": "newer", "disk_free": FULL - 1}, ("newer", "disk_full")),
        ({"unfinished": True}, ()),  # it could lead
    ],
)
def test_exactly_the_defined_reasons_are_reported(change: dict[str, object], expected: tuple[str, ...]) -> None:
    report = standby_report(replace(WELL, **change))  # type: ignore[arg-type]
    assert (report.role, report.reasons) == ("standby", expected)
    assert f"answerable_healthy {int(not expected)}\n" in report.metrics


def test_the_page_for_prometheus_has_the_numbers_of_a_standby() -> None:
    numbers = [line for line in standby_report(WELL).metrics.splitlines() if not line.startswith("#")]
    assert numbers == [
        "answerable_healthy 1",
        "answerable_leads 0",
        "answerable_journal_records 1234",
        "answerable_disk_free_bytes 1000000000000",
        "answerable_standby_level_age_seconds 0.25",
        "answerable_standby_unfinished 0",
    ]


async def test_a_process_that_starts_is_not_healthy_and_says_whether_it_leads() -> None:
    found = [await starting(), await starting_to_lead()]
    assert [(each.role, each.reasons) for each in found] == [("starting", ("starting",)), ("leader", ("starting",))]
    assert ["answerable_leads 1\n" in each.metrics for each in found] == [False, True]


@pytest.mark.parametrize("word", WRONG)
def test_every_reason_is_documented_with_its_remedy(word: str) -> None:
    assert f"`{word}`" in OPERATING
