"""Runs `make fuzz`: every target, and the product from input to disk, for the given time; reports what was found.

    make fuzz                  ten minutes
    make fuzz ARGS="--minutes 60"
    make fuzz ARGS="--only event,command"

Exits with 1 if an input failed. Failing inputs are in `build/fuzz/`: add them to `tests/fuzz/corpus/<target>/`, then
fix the cause.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz import test_door, test_no_path_gives_more
from tests.fuzz.said import steps
from tests.fuzz.scenes import scripts
from tests.fuzz.targets import TARGETS
from tests.fuzz.world import World

FOUND = Path("build") / "fuzz"
COVERED = re.compile(r"\bcov: (\d+)")
DISK = {"door": 2, "rights": 2, "elsewhere": 2}  # targets that run here, and how many shares of the time each has
ROUND = 50


@dataclass(frozen=True)
class Outcome:
    """The outcome of one target."""

    name: str
    inputs: int
    coverage: str
    failed: tuple[str, ...]


def guided(name: str, seconds: float) -> Outcome:
    """Fuzz a target in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.guided", name, str(int(seconds)), str(FOUND)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds * 3 + 300)
    covered = COVERED.findall(ran.stderr)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if not lines:  # a hang, too much memory, or a crash of the interpreter
        why = [line[:200] for line in ran.stderr.splitlines() if "Error" in line or "ERROR" in line]
        return Outcome(name, 0, "-", (f"ended with {ran.returncode}: {'; '.join(why[-3:])}",))
    said = json.loads(lines[-1])
    return Outcome(name, said["inputs"], covered[-1] if covered else "-", tuple(said["failed"]))


def on_disk(name: str, seconds: float) -> Outcome:
    """Fuzz the pipeline with a journal and a database of its own; at the end check the whole log."""
    until, count = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as folder:
        inputs, check, end = {"door": _door, "rights": _rights, "elsewhere": _elsewhere}[name](Path(folder))

        def one(batch: Any) -> None:
            nonlocal count
            count += check(batch)

        options = settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        try:
            while time.monotonic() < until:
                seed(random.getrandbits(64))(options(given(inputs)(one)))()
            end()
        except Exception as error:
            return Outcome(name, count, "-", (repr(error)[:1500],))
    return Outcome(name, count, "-", ())


# What to try, trying it (how many inputs that were), and the end.
Disk = tuple[st.SearchStrategy[Any], Callable[[Any], int], Callable[[], None]]


def _door(folder: Path) -> Disk:
    door, rooms = test_door.served(folder / "door")
    (folder / "again").mkdir()

    def end() -> None:
        test_door.check_whole(door, rooms, folder / "again")
        door.close()

    def check(batch: list[Any]) -> int:
        test_door.check_batch(door, rooms, batch)
        return len(batch)

    return test_door.batches, check, end


def _rights(folder: Path) -> Disk:
    world = World(folder / "world")

    def end() -> None:
        assert world.door.problems() == ()
        world.door.close()

    def check(said: list[Any]) -> int:
        test_no_path_gives_more.check_steps(world, said)
        return len(said)

    return st.lists(steps, min_size=1, max_size=10), check, end


def _elsewhere(folder: Path) -> Disk:
    quiet = test_no_path_gives_more.quiet_world(folder / "quiet")

    def check(script: Any) -> int:
        test_no_path_gives_more.check_script(quiet, script)
        return sum(map(len, script))

    return scripts, check, lambda: None


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Try hostile inputs for a time.")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (10)")
    parser.add_argument("--only", default="", help="targets, with commas between them")
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else [*TARGETS, *DISK]
    if unknown := sorted(set(names) - {*TARGETS, *DISK}):
        parser.error(f"no target {unknown[0]}; there are {', '.join([*TARGETS, *DISK])}")
    share = asked.minutes * 60 / sum(DISK.get(name, 1) for name in names)
    outcomes = []
    for name in names:
        seconds = share * DISK.get(name, 1)
        outcomes.append(on_disk(name, seconds) if name in DISK else guided(name, seconds))
        tell(outcomes[-1])
    total, failed = sum(each.inputs for each in outcomes), sum(len(each.failed) for each in outcomes)
    print(f"{total} inputs tried, {failed} ways to fail found.")
    return 1 if failed else 0


def tell(outcome: Outcome) -> None:
    """Print a line as soon as a target is done."""
    print(f"{outcome.name:8} {outcome.inputs:9} inputs   coverage {outcome.coverage:>6}   {len(outcome.failed)} failed")
    for way in outcome.failed:
        print(f"         {way}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
