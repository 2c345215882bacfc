"""A number that two eras of a log gave to different records is the record of the era that is named with it."""

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    HERE,
    Fact,
    Learnt,
    LearntKind,
    OrderedEverywhere,
    RecordsPurged,
    RecordsRestored,
    SanctionStarted,
)
from storage import schema
from storage.projections import project
from storage.projections.shards import order_of
from tests.unit.moderation.builders import ANNA, DAY, MARK, NOON

OTHER, THIRD = "example.org/one", "example.org/three"
LATER = NOON + 3 * DAY
OWN_BAN = SanctionStarted(kind="ban", until=LATER, basis="operator", rule="barred", subject=ANNA)


def said(what: LearntKind, index: int, era: str = "-", origin: str = OTHER, **more: object) -> Learnt:
    values = {"subject": ANNA, **more}
    return Learnt(what=what, origin=origin, era=era, index=index, made=NOON, size=index + 1, root="ab" * 32, **values)  # type: ignore[arg-type]


def ended(of: str, refers: int, of_era: str) -> Learnt:
    """Return the end of a ban, as the third shard says it."""
    return said("admitted", 7, origin=THIRD, of=of, refers=refers, of_era=of_era, why="command")


def barred(index: int, era: str, days: int) -> Learnt:
    return said("barred", index, era, until=NOON + days * DAY, basis="operator", rule="barred")


RESTORED = said("restored", 402, "r1", subject="")


async def apply(db: AsyncConnection, *facts: Fact, first: int = 10) -> None:
    for index, fact in enumerate(facts, first):
        await project(fact, db, index, NOON)


async def in_force(db: AsyncConnection) -> list[int]:
    """Return after how many days each ban in force ends."""
    s = schema.sanctions.c
    return sorted((until - NOON) // DAY for until in await db.scalars(select(s.until).where(s.ended == 0)))


@pytest.mark.parametrize(
    ("index", "era", "is_ended"),
    [
        (300, "-", True),  # before the backup: it stands in both eras
        (300, "r1", True),
        (500, "-", False),  # in the lost time: what has this number now is another record
        (500, "r1", True),
        (500, "r0", False),  # an era of which this log knows nothing
    ],
)
async def test_another_shard_ends_the_record_of_ours_that_it_means(
    db: AsyncConnection, index: int, era: str, is_ended: bool
) -> None:
    await project(RecordsRestored(era="r1", made=NOON, cases=100, size=400), db, 402, NOON)
    await project(OWN_BAN, db, index, NOON)
    await project(ended(HERE, index, era), db, 600, NOON)
    assert await in_force(db) == ([] if is_ended else [3])


async def test_after_a_second_restore_from_an_older_backup_the_first_era_is_none_of_ours(db: AsyncConnection) -> None:
    await project(RecordsRestored(era="r2", made=NOON, cases=100, size=350), db, 352, NOON)
    await project(OWN_BAN, db, 410, NOON)
    await project(ended(HERE, 410, "r1"), db, 600, NOON)
    await project(ended(HERE, 410, "-"), db, 601, NOON)
    assert await in_force(db) == [3]


async def test_after_two_restores_of_one_history_the_first_era_is_ours_up_to_the_second_backup(
    db: AsyncConnection,
) -> None:
    for era, size in (("r1", 350), ("r2", 450)):
        await project(RecordsRestored(era=era, made=NOON, cases=100, size=size), db, size + 2, NOON)
    for index in (300, 400, 500):
        await project(replace(OWN_BAN, until=NOON + index // 100 * DAY), db, index, NOON)
    for at, (index, era) in enumerate(((400, "-"), (500, "-"), (500, "r1"))):
        await project(replace(ended(HERE, index, era), index=at), db, 600 + at, NOON)
    assert await in_force(db) == [3, 4, 5]
    await project(replace(ended(HERE, 400, "r1"), index=9), db, 609, NOON)
    await project(replace(ended(HERE, 300, "-"), index=10), db, 610, NOON)
    assert await in_force(db) == [5]


@pytest.mark.parametrize(("era", "left"), [("-", [5]), ("r1", [4])])
async def test_of_two_records_of_one_number_the_one_of_the_era_is_ended(
    db: AsyncConnection, era: str, left: list[int]
) -> None:
    await apply(db, barred(500, "-", 4), RESTORED, barred(500, "r1", 5), ended(OTHER, 500, era))
    assert await in_force(db) == left


@pytest.mark.parametrize("era", ["-", "r1"])
async def test_an_end_waits_for_the_record_of_its_era_and_for_no_other(db: AsyncConnection, era: str) -> None:
    bans = {"-": barred(500, "-", 4), "r1": barred(500, "r1", 5)}
    other = "r1" if era == "-" else "-"
    await apply(db, RESTORED, bans[other], ended(OTHER, 500, era))
    assert await in_force(db) == [5 if other == "r1" else 4]
    await apply(db, bans[era], first=20)
    assert await in_force(db) == [5 if other == "r1" else 4]
    assert list(await db.scalars(select(schema.learnt.c.waits).where(schema.learnt.c.waits == 1))) == []


async def test_an_end_that_names_an_era_not_heard_of_yet_waits_for_it(db: AsyncConnection) -> None:
    await apply(db, barred(500, "-", 4), ended(OTHER, 500, "r1"))
    assert await in_force(db) == [4]
    await apply(db, RESTORED, barred(500, "r1", 5), first=20)
    assert await in_force(db) == [4]


async def test_a_log_that_goes_on_ends_what_it_had_begun_before_the_backup(db: AsyncConnection) -> None:
    its_own = said("admitted", 600, "r1", refers=300, why="command")
    await apply(db, barred(300, "-", 3), barred(500, "-", 5), RESTORED, its_own)
    await apply(db, replace(its_own, index=601, refers=500), first=20)  # a record of r1 that is not learnt
    assert await in_force(db) == [5]


async def test_what_a_restored_log_goes_on_from_is_known_after_a_purge(db: AsyncConnection) -> None:
    its_own = said("admitted", 600, "r1", refers=300, why="command")
    long = replace(barred(300, "-", 3), until=NOON + 900 * DAY)
    await apply(db, long, RESTORED)
    await project(RecordsPurged(below=100, what="schedule"), db, 100, NOON + 400 * DAY)
    await project(its_own, db, 101, NOON + 400 * DAY)
    assert await in_force(db) == []


@pytest.mark.parametrize("era", ["-", "r1"])
async def test_of_two_orders_of_one_number_the_one_of_the_era_is_recalled(db: AsyncConnection, era: str) -> None:
    of_both = [
        OrderedEverywhere(n=n, origin=OTHER, era=each, index=500, subject=ANNA, by=MARK)
        for n, each in ((1, "-"), (2, "r1"))
    ]
    of_first, of_second = (said("ordered", 500, each, by=MARK) for each in ("-", "r1"))
    await apply(db, of_first, RESTORED, of_second, *of_both)
    recalled = said("recalled", 7, origin=THIRD, of=OTHER, refers=500, of_era=era, why="command")
    found = await order_of(db, recalled)
    assert found is not None and found.era == era
    await apply(db, recalled, first=20)
    o = schema.orders.c
    assert list(await db.scalars(select(o.era).where(o.ended > 0))) == [era]
