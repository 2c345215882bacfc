"""Three shards agree on what counts for people, whatever is late, doubled or restarted in between."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.model.facts import SanctionEnded, SanctionStarted
from moderation.values.ids import RoomId
from storage import queries
from storage.queries.shards import orders_in_force
from tests.examples import tried
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

OP, ANN, BEN, MO = "@op:example.org", "@ann:example.org", "@ben:example.org", "@mo:example.org"
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


@settings(max_examples=tried(4), deadline=None)
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


@settings(max_examples=tried(4), deadline=None)
@given(st.randoms(use_true_random=False))
async def test_bans_from_all_rooms_and_their_ends_that_cross_on_the_way_give_the_same_in_all(chance: Random) -> None:
    exchange = Late(chance)
    with tempfile.TemporaryDirectory() as folder:
        shards = [Shard(name, Path(folder) / name, exchange, apart(*NAMES)[name]) for name in NAMES]
        for shard in shards:
            await shard.open()
            await shard.room({MO: 50}, [OP, ANN, BEN])
        for _ in range(10):
            shard = chance.choice(shards)
            shard.now = max(each.now for each in shards) + 60_000
            order = chance.choice((f"!ban {ANN} 30d everywhere he sells", f"!unban {ANN} everywhere", f"!unban {ANN}"))
            await shard.order(RoomId(f"!{shard.name}1:example.org"), OP, order)
            if chance.random() < 0.2:
                await chance.choice(shards).again()
            await chance.choice(shards).exchanged()
        exchange.whole = True
        for shard in shards * 2:
            await shard.exchanged()
        held = []
        for shard in shards:
            async with shard.stores.database.read() as db:
                held.append([each.until for each in await orders_in_force(db, shard.now)])
        assert sorted(held[0]) == sorted(held[1]) == sorted(held[2])
        for shard in shards:
            async with shard.stores.database.read() as db:
                bans = [each.until for each in await queries.all_in_force(db) if each.kind == "ban"]
            ended = [fact for fact in shard.facts() if isinstance(fact, SanctionEnded)]
            assert set(bans) <= set(held[0])
            assert len(bans) + len(ended) >= len(held[0])
            assert shard.problems() == ()
            assert await shard.differences(Path(folder) / f"{shard.name}-again") == {}
            await shard.close()
