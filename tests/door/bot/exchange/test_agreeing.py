"""Three shards agree on what counts for people, whatever is late, doubled or restarted in between."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.model.facts import SanctionStarted
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

ANN, BEN, MO = "@ann:example.org", "@ben:example.org", "@mo:example.org"
NAMES = ("one", "two", "three")
DAY_MS = 86_400_000


class Late(MemoryExchange):
    """An exchange that now and then shows a shard only the beginning, or once more what it has read."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.chance = chance
        self.whole = False

    async def after(self, origin: str, era: str, index: int, most: int):  # type: ignore[no-untyped-def]
        if self.whole:
            return await super().after(origin, era, index, most)
        again = index - 5 if self.chance.random() < 0.3 else index
        found = await super().after(origin, era, again, most)
        shown = found[: self.chance.randint(0, len(found))]
        return shown if shown and shown[-1].index > index else []


@settings(max_examples=4, deadline=None)
@given(st.randoms(use_true_random=False))
async def test_three_shards_agree_and_one_of_them_takes_the_rights(chance: Random) -> None:
    exchange = Late(chance)
    with tempfile.TemporaryDirectory() as folder:
        shards = [Shard(name, Path(folder) / name, exchange, apart(*NAMES)[name]) for name in NAMES]
        rooms = []
        for shard in shards:
            await shard.open()
            manages = {BEN: 50, MO: 50} if shard.name == "two" else {MO: 50}
            rooms.append(await shard.room(manages, [ANN, BEN] if shard.name != "two" else [ANN]))
        for _ in range(6):
            at = chance.choice((0, 2))  # where Ben is a member
            now = max(shard.now for shard in shards) + DAY_MS
            for shard in shards:
                shard.now = now
            await shards[at].say(rooms[at], chance.choice((ANN, BEN)), chance.choice(("an elephant", "plutonium")))
            shard = chance.choice(shards)
            if chance.random() < 0.3:
                await shard.again()
            await shard.exchanged()
        exchange.whole = True
        await shards[0].say(rooms[0], BEN, "plutonium")
        shards[0].now += DAY_MS
        await shards[0].say(rooms[0], BEN, "plutonium")
        for shard in shards:
            shard.now = shards[0].now
        for shard in shards * 2:
            await shard.exchanged()
        for user in (ANN, BEN):
            assert len({await shard.balance(user) for shard in shards}) == 1
        demoted = [
            (shard.name, fact.subject)
            for shard in shards
            for fact in shard.facts()
            if isinstance(fact, SanctionStarted) and fact.kind == "demote"
        ]
        assert demoted == [("two", BEN)]
        for shard in shards:
            assert shard.problems() == ()
            assert await shard.differences(Path(folder) / f"{shard.name}-again") == {}
            await shard.close()
