"""A short run of `bench/raid.py`, for its correctness: the protections and a manager end everything, and it is told."""

from pathlib import Path

from bench.raid import NEWCOMERS, RULES, WAVES, raid
from bench.raid_kinds import KINDS
from bench.raid_world import Answerable, Community
from bot.demo.synapse import Synapse


async def test_protections_and_a_manager_end_a_small_raid(synapse: Synapse, tmp_path: Path) -> None:
    async with Community(synapse) as community:
        await community.build(2)
        waves = WAVES.format(wave=len(KINDS), within="1h")
        bot = Answerable(tmp_path / "bot", RULES + NEWCOMERS + waves)
        try:
            await bot.start(synapse, await community.person("bot"), community.owner)
            figures = {figure.name: figure.ours for figure in await raid(community, bot, len(KINDS), 1)}
        finally:
            await bot.stop()
    assert {kind: figures[f"by itself: {kind}, standing"] for kind in KINDS} == dict.fromkeys(KINDS, 0)
    assert (figures["by hand: memberships left"], figures["by hand: messages standing"]) == (0, 0)
    assert figures["by itself: waves"] == 1
