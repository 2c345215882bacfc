"""Orders for all rooms of all shards, and how long they are in force."""

import pytest

from moderation.model.facts import OrderedEverywhere, OrderRecalled
from moderation.values.ids import PersonId
from storage.projections import project
from storage.queries.shards import orders_in_force
from tests.unit.moderation.builders import ANNA, DAY, MARK, NOON
from tests.unit.storage.new_tables import NewTables


@pytest.mark.parametrize(
    ("until", "now", "in_force"),
    [(0, NOON + 400 * DAY, True), (NOON + DAY, NOON + DAY - 1, True), (NOON + DAY, NOON + DAY, False)],
)
async def test_an_order_is_in_force_until_its_time_is_over(
    new_tables: NewTables, until: int, now: int, in_force: bool
) -> None:
    async with new_tables() as db:
        await project(OrderedEverywhere(until=until, n=4, subject=ANNA, by=MARK), db, 7, NOON)
        for found in (await orders_in_force(db, now, person=PersonId(ANNA)), await orders_in_force(db, now, n=4)):
            assert [order.record for order in found] == ([7] if in_force else [])


async def test_an_order_that_was_recalled_is_not_in_force(new_tables: NewTables) -> None:
    async with new_tables() as db:
        await project(OrderedEverywhere(n=4, subject=ANNA, by=MARK), db, 7, NOON)
        await project(OrderRecalled(start=7, why="command", n=4, subject=ANNA, by=MARK), db, 8, NOON + 1)
        assert await orders_in_force(db, NOON + 2) == []
