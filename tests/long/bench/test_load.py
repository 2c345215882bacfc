"""The benchmarks of load, tiny: that they measure what they say and find what is lost. Their times decide nothing."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import ingest, scale, simulated, soak
from storage.journal.days import DayLines
from tests.theatre.forked_command import ForkedBot


def options(module_arguments: Callable[[argparse.ArgumentParser], None], *words: str) -> argparse.Namespace:
    """Return the options of a benchmark, from these words on its command line."""
    parser = argparse.ArgumentParser()
    module_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the bots, and restore afterwards what a soak sets for its bot."""
    monkeypatch.setattr(simulated, "BotProcess", ForkedBot)
    monkeypatch.setenv("SOAK_PACE", "1")
    monkeypatch.setenv("PYTHONPATH", "")


async def test_a_short_soak_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    words = ["--rooms", "4", "--people", "20", "--burst", "100", "--minutes", "3", "--pace", "600"]
    seen = await soak.soak(options(soak.add_arguments, *words), tmp_path / "bot")
    assert seen.wrong == []
    assert len(seen.events) == len(set(seen.events)) == 300
    assert len(seen.gone_s) == len(seen.bad) == 3
    assert (len(seen.taken_s), len(seen.memory_mb), len(seen.waiting)) == (3, 3, 3)
    _find_what_is_lost_or_doubled(tmp_path / "bot", seen.events)


def _find_what_is_lost_or_doubled(data_dir: Path, events: list[str]) -> None:
    """Check that the soak fails where it must."""
    # Hours pass in the story, so there may have been a midnight: the event may be in a day that is closed.
    twice, days = events[0], data_dir / "records" / "day"
    lines = [line for day in sorted(days.iterdir()) for line in DayLines(day).each()]
    (again,) = [line for line in lines if f'"ev":"{twice}"'.encode() in line]
    (opened,) = days.glob("*.jsonl")
    with opened.open("ab") as file:
        file.write(again + b"\n")
    assert soak.wrong_in_records(data_dir, [*events, "$lost"])[:3] == [
        "$lost is 0 times in the tables",
        f"{twice} is 2 times in the journal",
        "$lost is 0 times in the journal",
    ]


async def test_ingest_measures_every_round_and_all_events_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "ANSWER", 40)  # so that a round takes several answers
    words = ["--events", "200", "--rooms", "3", "--rounds", "2"]
    rounds = await ingest.rounds(options(ingest.add_arguments, *words), tmp_path / "bot")
    assert [each.events for each in rounds] == [100, 100]
    assert all(each.took_s > 0 and each.parsed_s > 0 and each.used_s > 0 for each in rounds)
    assert [each.missing for each in rounds] == [0, 0]


def test_scale_measures_everything_next_to_a_small_deployment() -> None:
    words = ["--few", "1", "--rooms", "2", "--large", "30", "--cases", "20", "--entries", "10", "--rounds", "1"]
    figures = list(scale.run(options(scale.add_arguments, *words)))
    assert [figure.name for figure in figures if figure.floor] == [
        *(each for name, _ in scale.TIMES for each in (name, "  processor time")),
        "memory",
        scale.START,
        "  processor time",
    ]
    assert all(figure.ours > 0 for figure in figures)
