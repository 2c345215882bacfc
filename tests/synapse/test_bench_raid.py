"""A short run of `bench/raid.py`, for its correctness: the bot and a manager end what they can, and it is told."""

from pathlib import Path

from bench.raid import RULES, raid
from bench.raid_world import Answerable, Community
from bot.demo.synapse import Synapse


async def test_a_small_raid_is_told_by_kind(synapse: Synapse, tmp_path: Path) -> None:
    async with Community(synapse) as community:
        await community.build(2)
        bot = Answerable(tmp_path / "bot", RULES)
        try:
            await bot.start(synapse, await community.person("bot"), community.owner)
            figures = {figure.name: figure.ours for figure in await raid(community, bot, 6, 1)}
        finally:
            await bot.stop()
    assert figures["by itself: text, standing"] == 0
    assert figures["by itself: reaction, standing"] == 0
    assert figures["by hand: memberships left"] == 0
    assert figures["by hand: commands"] == 6
