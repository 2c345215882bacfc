"""A short run of `bench/react.py`, for its correctness: both rooms are handled, and the bot's actions are checked."""

from pathlib import Path

from bench.react import Bursts, burst, singles
from bench.react_world import World
from bot.demo.synapse import Synapse


async def test_both_bots_redact_everything_and_their_requests_are_counted(synapse: Synapse, tmp_path: Path) -> None:
    async with World(tmp_path, synapse) as world:
        place = await world.place(2)
        ours: list[float] = []
        floor: list[float] = []
        await singles(world, place, 0, 1, ours, floor)
        assert all(0 < each < float("inf") for each in (*ours, *floor))
        bursts = Bursts()
        await burst(world, place, 1, 3, bursts)
    assert (len(bursts.ours), len(bursts.floor)) == (1, 1)
    found = (bursts.missed, bursts.missed_floor, bursts.unrecorded, bursts.spare_cases, bursts.spare_cards)
    assert found == (0, 0, 0, 0, 0)
    assert (bursts.cases, bursts.cards) == (2, 2)
