"""Killed at any step at which something becomes durable or leaves the process, the bot has done all of it, once.

A sample in `make test`, drawn with a seed; every step in turn, and instants drawn at random, in `make faults`.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.play import ALL, Fault, Zygote, different, scene, story

SEED = int(os.environ.get("FAULTS_SEED", "7"))
AT_ONCE = min(os.cpu_count() or 1, 4) if ALL else 1
SAMPLE = 3
INSTANTS = 60  # drawn at random, in the long run


@asynccontextmanager
async def zygotes(count: int) -> AsyncIterator[list[Zygote]]:
    """Processes that fork bots."""
    found = [await Zygote.start() for _ in range(count)]
    try:
        yield found
    finally:
        for each in found:
            await each.stop()


def faults(steps: Sequence[str], chance: random.Random) -> list[Fault]:
    """What is to befall the bot."""
    each = [Fault(kill_at=number) for number in range(1, len(steps) + 1)]
    torn = [Fault(kill_at=number, torn=True) for number, step in enumerate(steps, 1) if step == "write"]
    if not ALL:
        return [*chance.sample(each, SAMPLE - 1), chance.choice(torn)]
    whole = [*each, *torn, *(Fault(after_s=chance.uniform(0.05, 4)) for _ in range(INSTANTS))]
    chance.shuffle(whole)
    return whole


@pytest.mark.timeout(0 if ALL else 110)
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
async def test_killed_at_any_step_the_bot_loses_nothing_and_does_nothing_twice(tmp_path: Path, encrypted: bool) -> None:
    chance = random.Random(SEED)
    async with zygotes(AT_ONCE) as makers:
        start = await scene(tmp_path / "scene", makers[0], encrypted=encrypted)
        said = {event.raw["type"] for _, event in start.server.world.order}
        assert ("m.room.encrypted" in said, "m.room.message" in said) == (encrypted, not encrypted)
        peace = await story(start, tmp_path / "peace", makers[0], Fault())
        assert different(peace, peace) == {}
        steps = (tmp_path / "peace" / "steps").read_text().splitlines()
        left = list(enumerate(faults(steps, chance)))
        wrong: dict[str, Any] = {}
        died: Counter[str] = Counter()

        async def work(maker: Zygote) -> None:
            while left:
                number, fault = left.pop()
                seen = await story(start, tmp_path / f"story-{number}", maker, fault)
                died[seen.step.split(" ")[0] if fault.kill_at else "any"] += seen.deaths
                if found := different(peace, seen):
                    wrong[f"seed {SEED}, {fault}, at {seen.step}"] = found
                    print(f"\n{fault} at {seen.step}: {found}", flush=True)
                _show(died, wrong)

        await asyncio.gather(*map(work, makers))
    assert wrong == {}
    assert sum(died.values()) >= (SAMPLE - 1 if not ALL else len(steps) // 2)


def _show(died: Counter[str], wrong: dict[str, Any]) -> None:
    if ALL:
        print(f"\rkilled {sum(died.values())} times, wrong {len(wrong)}; {dict(died)}", end="", flush=True)
