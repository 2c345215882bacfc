"""The parts that all benchmarks share: figures with a floor, alternating rounds, the table, the JSON, the command line.

Rules kept here:
- A figure is compared with a floor of the same run, measured in turn with it, since machines differ and are busy.
- Figures are medians of the rounds.
- A figure that misses its target is shown as missed, and no benchmark fails for it.

Left to others: what is measured (one module a part), in which order the parts run (`bench/__main__.py`).
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Work = Callable[[], float]  # returns seconds


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure: ours and the floor, in the same unit; for rates more is better, for times less."""

    name: str
    unit: str
    ours: float
    floor_name: str = ""
    floor: float = 0.0  # 0: none
    target: str = ""  # the target, in words
    alone: float = 0.0  # the estimate for a machine that nobody else uses; 0: unknown
    met: bool | None = None  # None: there is no target

    @property
    def ratio(self) -> float:
        """The share of the floor that is reached (rates), or the multiple of it (times); 0 without a floor."""
        return self.ours / self.floor if self.floor else 0.0


def at_most_times(limit: float, ours: float, floor: float) -> dict[str, Any]:
    """Return the target that ours takes at most `limit` times the floor."""
    return {"target": f"<= {limit:g} x", "met": ours <= limit * floor}


def at_most(limit: float, ours: float, unit: str) -> dict[str, Any]:
    """Return the target that ours is at most `limit`."""
    return {"target": f"<= {limit:g} {unit}", "met": ours <= limit}


def at_least(limit: float, ours: float, unit: str) -> dict[str, Any]:
    """Return the target that ours is at least `limit`."""
    return {"target": f">= {limit:,.0f} {unit}", "met": ours >= limit}


def in_turn(ours: Work, floor: Work, rounds: int, ends: float = float("inf")) -> tuple[float, float, float]:
    """Run both in turn, until the rounds or the time (`ends`, by `time.monotonic`) are over.

    Returns the medians (s) of ours, of the floor, and of the processor time of ours.
    """
    one: list[float] = []
    other: list[float] = []
    busy: list[float] = []
    while len(one) < rounds and (not one or time.monotonic() < ends):
        before = processor_time()
        one.append(ours())
        busy.append(processor_time() - before)
        other.append(floor())
    return statistics.median(one), statistics.median(other), statistics.median(busy)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def go_first(*processes: int) -> None:
    """Let this process, what it starts from now on, and these processes go before all other programs of the machine.

    So a machine that is busy measures almost as a quiet one. Raises `PermissionError` unless the system allows it.
    """
    for process in (os.getpid(), *processes):
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def processor_time() -> float:
    """Return the processor time (s) of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -(-len(ranked) * int(percent) // 100) - 1))]


# The table.


def line(figure: Figure) -> str:
    """Return a figure as one line of the table."""
    beside = f"{figure.floor_name:<22}{_number(figure.floor):>11}   {_ratio(figure):<15}" if figure.floor else " " * 51
    alone = f"alone {_number(figure.alone)}" if figure.alone else ""
    wanted = figure.target + ("" if figure.met is not False else "  MISSED")
    return f"{figure.name:<34}{_number(figure.ours):>10} {figure.unit:<13}{beside}{alone:<16}{wanted}".rstrip()


def _ratio(figure: Figure) -> str:
    return f"{figure.ratio:6.1%} of it" if figure.unit.endswith("/s") else f"{figure.ratio:5.2f} times it"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def machine() -> dict[str, Any]:
    """Return what is known of the machine that measures."""
    load = [round(each, 2) for each in os.getloadavg()]
    return {"processors": os.cpu_count(), "python": platform.python_version(), "load before": load}


# The command line.


def measure(
    text: str | None,
    arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], Iterator[Figure]],
) -> None:
    """Run one part from the command line: `arguments` adds its options, `run` measures."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments(parser)
    options = parser.parse_args()
    where = machine()
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    figures = list(told(run(options)))
    if options.json:
        write(options.json, figures, where)


def told(figures: Iterable[Figure]) -> Iterator[Figure]:
    """Yield each figure, printed as soon as it is there."""
    for figure in figures:
        print(line(figure), flush=True)
        yield figure


def write(path: Path, figures: Sequence[Figure], where: dict[str, Any]) -> None:
    """Write the figures as JSON."""
    found = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
    path.write_text(json.dumps({"machine": where, "figures": found}, indent=2) + "\n", encoding="utf-8")
