"""Plays a story with a fault, and repeats it once for each fault.

Rules kept here:
- A bot that died is started again, without the fault, and the story goes on to its end.
- Every difference from the undisturbed run is counted, and reported with the step of the fault.
"""

import asyncio
import os
import random
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.long.faults.fault import Fault
from tests.long.faults.people import again
from tests.long.faults.running import Place, Running, text_of
from tests.long.faults.scene import Start, again_at
from tests.long.faults.seen import Seen, different, differing, seen

# At which places each story is disturbed: "all" (`make faults`), so many, or from one to before another ("40:50").
PLACES = os.environ.get("FAULTS", "")
LONG = bool(PLACES)
AT_ONCE = 3 * (os.cpu_count() or 1) if LONG else 1  # half of a story is waiting for answers
SEED = int(os.environ.get("FAULTS_SEED", "7"))
INSTANTS = 60  # drawn at random, in the long run

Playing = Callable[[Path, Fault], Awaitable[Seen]]


async def perform(
    start: Start, folder: Path, fault: Fault, place: Place | None = None, bot: Callable[..., Running] = Running
) -> Seen:
    """Play the story with a fault. Returns what can be seen afterwards."""
    place = place or Place(folder / "data")
    shutil.copytree(start.folder / "data", place.data, dirs_exist_ok=True)
    async with again_at(start) as server:
        people = await again(server, start.people, folder / "people", start.accounts, start.tokens)
        running = start.running(folder, server, place, bot)
        play = start.story.play(running, people, start.room, start.desk)
        place.begins()
        play.before(start.meanwhile)
        await running.start(**fault.order())
        killing = asyncio.create_task(_later(running, fault.after_s)) if fault.after_s else None
        await play.until_over()
        if killing is not None:
            await killing
            await play.until_over()
        await running.stop()
        if running.exits[-1] == -9:  # the step was in its stopping
            running.died_at()
            await running.start()
            await play.until_over()
            await running.stop()
        assert running.exits[-1] == 0, text_of(folder / "stderr")
        await people.listen()
        await people.close()
        return seen(play)


async def _later(running: Running, after_s: float) -> None:
    await asyncio.sleep(after_s)
    if not running.is_dead():
        running.kill()


@dataclass
class Tally:
    """The number of times the bot was killed in a story, and the results."""

    played: int = 0  # how often the story was
    died: Counter[str] = field(default_factory=Counter)  # by the kind of step
    lost: int = 0  # facts and acts that were missing
    doubled: int = 0  # those that there were too many of, and events recorded twice
    wrong: dict[str, Any] = field(default_factory=dict)

    def add(self, fault: Fault, peace: Seen, seen: Seen) -> None:
        """Count one run."""
        self.played += 1
        if seen.deaths:  # a run of a few steps less may be over before
            self.died[seen.step.split(" ")[0] if fault.kill_at else "any"] += seen.deaths
        self.doubled += seen.recorded_twice
        for name in ("facts", "homeserver"):
            missing, more = differing(peace, seen, name)
            self.lost += missing.total()
            self.doubled += more.total()
        if found := different(peace, seen):
            self.wrong[f"seed {SEED}, {fault}, at {seen.step}"] = found
            print(f"\n{fault} at {seen.step}: {found}", flush=True)

    def add_unfinished(self, fault: Fault, error: Exception, folder: Path) -> None:
        """Count one run that did not come to its end; the others go on."""
        self.played += 1
        self.wrong[f"seed {SEED}, {fault}"] = {"unfinished": f"{type(error).__name__} in {folder}: {error}"}
        print(f"\n{fault}, in {folder}: {type(error).__name__}: {error}", flush=True)

    def __str__(self) -> str:
        counts = f"lost {self.lost}, doubled {self.doubled}, otherwise {len(self.wrong)}"
        return f"killed {self.died.total()} times, {counts}; {dict(self.died)}"


async def perform_killed(
    start: Start, peace: Seen, folder: Path, sample: int, most: int | None = None, play: Playing | None = None
) -> Tally:
    """Play the story once for each of its faults, some at a time. Returns the results, compared with those of `peace`.

    `sample` is the number of faults in `make test-long`, `most` the number in the long run, None for all; `play` plays
    the story with a fault in a folder, by default on one machine.
    """
    steps = peace.steps
    chosen = faults(steps, random.Random(SEED), sample)[:most]
    left, tally = list(enumerate(chosen)), Tally()
    playing = play or partial(perform, start)

    async def work() -> None:
        while left:
            number, fault = left.pop()
            where = folder / f"story-{number}"
            try:
                tally.add(fault, peace, await playing(where, fault))
            except Exception as error:
                tally.add_unfinished(fault, error, where)
            else:
                shutil.rmtree(where)
            if LONG:
                print(f"\r{start.story.name}, {tally.played} of {len(chosen)}: {tally}", end="", flush=True)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    print(f"\n{start.story.name}, {len(steps)} steps: {tally}", flush=True)
    assert tally.died.total() >= len(chosen) // 2
    return tally


def faults(steps: Sequence[str], chance: random.Random, sample: int) -> list[Fault]:
    """Return the faults: killed before every step, in the middle of each write, at random instants; or a sample."""
    each = [Fault(kill_at=number) for number in range(1, len(steps) + 1)]
    torn = [Fault(kill_at=number, torn=True) for number, step in enumerate(steps, 1) if step == "write"]
    if not LONG:
        return [*chance.sample(each, sample - 1), chance.choice(torn)]
    whole = [*each, *torn, *(Fault(after_s=chance.uniform(0.05, 4)) for _ in range(INSTANTS))]
    chance.shuffle(whole)
    first, _, end = PLACES.rpartition(":")
    return whole if PLACES == "all" else whole[int(first or 0) : int(end)]
