"""Figures: beside their floor, in turn, and said to miss what they miss."""

import json
from pathlib import Path

import pytest

from bench.figures import Figure, at_least, at_most, at_most_times, in_turn, line, percentile, write


def test_a_figure_shows_its_floor_and_whether_it_misses_its_target() -> None:
    slow = Figure("single", "ms", 30.0, "look and redact", 20.0, **at_most_times(1.15, 30.0, 20.0))
    rate = Figure("search", "MB/s", 600.0, "find", 1200.0, **at_least(100, 600.0, "MB/s"))
    assert line(slow).split()[-5:] == ["it", "<=", "1.15", "x", "MISSED"]
    assert "1.50 times it" in line(slow)
    assert "50.0% of it" in line(rate)
    assert "MISSED" not in line(rate)
    assert Figure("help", "s", 0.2, **at_most(0.3, 0.2, "s")).met is True


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (100, 100), (1, 1)])
def test_a_percentile_is_not_exceeded_by_that_share(percent: int, value: int) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value


def test_both_sides_are_measured_in_turn_and_medians_reported() -> None:
    order: list[str] = []
    times = iter([3.0, 1.0, 2.0])

    def ours() -> float:
        order.append("ours")
        return next(times)

    def floor() -> float:
        order.append("floor")
        return 1.0

    one, other, _ = in_turn(ours, floor, 3)
    assert (one, other, order) == (2.0, 1.0, ["ours", "floor"] * 3)


def test_figures_are_written_with_their_ratio(tmp_path: Path) -> None:
    write(tmp_path / "out.json", [Figure("a", "s", 3.0, "b", 2.0)], {"processors": 2})
    told = json.loads((tmp_path / "out.json").read_text())
    assert (told["machine"], told["figures"][0]["name"], told["figures"][0]["ratio"]) == ({"processors": 2}, "a", 1.5)
