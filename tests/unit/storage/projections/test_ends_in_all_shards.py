"""What one shard takes back is taken back in all, whichever shard recorded it first, and in any order."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    HERE,
    AccountsLinked,
    AccountUnlinked,
    Fact,
    Learnt,
    ListSpared,
    PersonVerified,
    SanctionEnded,
    SanctionStarted,
)
from moderation.shards.crossing import LogPlace, crosses, learnt, needed
from moderation.values.ids import UserId
from storage import schema
from storage.projections import project
from tests.examples import tried
from tests.postgres.engines import IN_TURN, POSTGRESQL, Engine
from tests.unit.moderation.builders import ANNA, DAY, MARK, NOON, ROOM
from tests.unit.storage.new_tables import EACH_IS_NEW, NewTables

TWIN = UserId("@twin:example.org")
LATER = NOON + 3 * DAY
BAN = SanctionStarted(kind="ban", until=LATER, basis="operator", rule="barred", subject=ANNA)
SPARED = ListSpared(list="cme", subject=ANNA)
SPARED_SERVER = ListSpared(list="cme", server="bad.example")
PROOF = PersonVerified(method="vouch", level=2, until=LATER, subject=ANNA)
LINKED = AccountsLinked(method="oidc", subject=TWIN, target=ANNA)
BEGUN: tuple[Fact, ...] = (BAN, SPARED, SPARED_SERVER, PROOF, LINKED)


@dataclass
class OneShard:
    """A shard of the story: its log, its tables, and how far it has read the others."""

    name: str
    db: AsyncConnection
    log: list[Fact] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"example.org/{self.name}"

    async def record(self, fact: Fact) -> None:
        self.log.append(fact)
        await project(fact, self.db, len(self.log) - 1, NOON)

    def crossing(self) -> list[Learnt]:
        """Return what others learn, in the order of the log."""
        found = []
        for index, fact in enumerate(self.log):
            about = self.log[needed(fact)] if needed(fact) >= 0 else None
            if crosses(fact, about):
                found.append(learnt(fact, LogPlace(self.origin, index, NOON, len(self.log), "ab" * 32), about, NOON))
        return found

    async def learn(self, other: "OneShard", most: int) -> None:
        """Take the next messages of another log, as the receiver hands them on."""
        begin = self.read.get(other.name, 0)
        for got in other.crossing()[begin : begin + most]:
            await self.record(replace(got, of=HERE) if got.of == self.origin else got)
            self.read[other.name] = self.read.get(other.name, 0) + 1

    async def rows(self, table: Table, *conditions: Any) -> list[Any]:
        return list(await self.db.execute(select(table).where(*conditions).order_by(table.c.record)))

    async def ends(self) -> list[Fact]:
        """Return the facts with which somebody here may end what holds now."""
        s, v, k = schema.sanctions, schema.verifications, schema.links
        return [
            *(
                SanctionEnded(start=row.record, kind="ban", why="command", subject=row.subject)
                for row in await self.rows(s, s.c.ended == 0)
            ),
            *(
                replace(PROOF, step="revoked", level=0, until=0, undoes=row.record)
                for row in await self.rows(v, v.c.revoked == 0)
            ),
            *(
                AccountUnlinked(start=row.record, subject=row.user, target=row.to)
                for row in await self.rows(k, k.c.ended == 0)
            ),
            *(
                ListSpared(step="unspared", list=row.list, undoes=row.record, subject=row.subject, server=row.server)
                for row in await self.rows(schema.list_spared)
            ),
        ]

    async def holding(self) -> list[str]:
        """Return what holds here, whatever records it stands in."""
        return sorted(re.sub(r"(start|undoes)=\d+", "", str(end)) for end in await self.ends())


@pytest.fixture(params=IN_TURN)
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[list[NewTables]]:
    """Provide tables for three shards, on each database in turn."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(3):
            url = None
            if request.param == POSTGRESQL:
                url = stack.enter_context(request.getfixturevalue("postgres").with_tables())
            made.append(NewTables(Engine(url)))
            stack.push_async_callback(made[-1].close)
        yield made


@asynccontextmanager
async def three_shards(tables: list[NewTables]) -> AsyncIterator[list[OneShard]]:
    """Yield three shards, all open at once, with empty tables."""
    async with AsyncExitStack() as stack:
        names = zip(("one", "two", "three"), tables, strict=True)
        yield [OneShard(name, await stack.enter_async_context(each())) for name, each in names]


@pytest.fixture
async def shards(tables: list[NewTables]) -> AsyncIterator[list[OneShard]]:
    async with three_shards(tables) as made:
        yield made


@settings(max_examples=tried(40), deadline=None, suppress_health_check=EACH_IS_NEW)
@given(st.randoms(use_true_random=False))
async def test_the_same_holds_in_all_whatever_crossed_on_the_way(tables: list[NewTables], chance: Random) -> None:
    async with three_shards(tables) as shards:
        for _ in range(chance.randint(4, 14)):
            shard = chance.choice(shards)
            match chance.randrange(4):
                case 0:
                    await shard.record(chance.choice(BEGUN))
                case 1 if ends := await shard.ends():
                    await shard.record(chance.choice(ends))
                case _:
                    await shard.learn(chance.choice([each for each in shards if each is not shard]), 1)
        told = [(shard, other) for shard in shards for other in shards if other is not shard]
        chance.shuffle(told)
        for shard, other in told:
            await shard.learn(other, 100)
        holding = [await shard.holding() for shard in shards]
        assert holding[0] == holding[1] == holding[2]


@pytest.mark.parametrize("begun", BEGUN, ids=lambda each: type(each).__name__)
async def test_what_one_shard_began_another_ends_and_a_third_hears_of_the_end_first(
    shards: list[OneShard], begun: Fact
) -> None:
    one, two, three = shards
    await one.record(begun)
    await two.learn(one, 1)
    [end] = await two.ends()
    await two.record(end)
    await three.learn(two, 1)
    await three.learn(one, 1)
    await one.learn(two, 1)
    assert [await shard.holding() for shard in shards] == [[], [], []]


async def test_a_ban_that_was_not_known_where_another_was_ended_goes_on_in_all(shards: list[OneShard]) -> None:
    one, two, three = shards
    await one.record(BAN)
    await two.record(replace(BAN, until=LATER + 1))
    await two.record((await two.ends())[0])
    for shard, other in ((three, two), (three, one), (one, two), (two, one)):
        await shard.learn(other, 10)
    assert [len(await shard.holding()) for shard in shards] == [1, 1, 1]


@pytest.mark.parametrize(
    "own",
    [
        replace(BAN, basis="credit"),
        replace(BAN, basis="list"),
        replace(BAN, room=ROOM),
        replace(BAN, reach="garden-club"),
        replace(BAN, kind="mute"),
        replace(BAN, subject=MARK),
    ],
)
async def test_another_shard_ends_nothing_here_that_it_was_never_told(shards: list[OneShard], own: Fact) -> None:
    one = shards[0]
    await one.record(own)
    end = SanctionEnded(start=0, kind="ban", why="command", subject=ANNA)
    forged = learnt(end, LogPlace("example.org/two", 7, NOON, 9, "ab" * 32), BAN)
    await one.record(replace(forged, of=HERE, refers=0))
    assert [row.ended for row in await one.rows(schema.sanctions)] == [0]
