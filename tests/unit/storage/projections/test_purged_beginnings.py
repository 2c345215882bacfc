"""An end said in another shard still ends what began there long ago, although the record of the beginning is purged."""

from dataclasses import dataclass
from typing import get_args

import pytest
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Learnt, LearntKind, OrderedEverywhere, RecordsPurged
from moderation.values.ids import UserId
from storage import schema
from storage.projections import project
from tests.unit.moderation.builders import ANNA, DAY, MARK, NOON

OTHER, TWIN = "example.org/one", UserId("@twin:example.org")
YEAR = 400 * DAY
FOR_GOOD = NOON + 2 * YEAR
PURGED = RecordsPurged(below=100, what="schedule")


@dataclass(frozen=True)
class Ending:
    """An end or a change, the beginning that it concerns, and the table in which that holds here."""

    ends: Learnt
    begins: Learnt
    table: Table
    here: tuple[OrderedEverywhere, ...] = ()

    async def holding(self, db: AsyncConnection) -> list[int]:
        """Return until when each row holds; 0: without an end of its own."""
        rows = (await db.execute(select(self.table))).all()
        over = ("ended", "revoked")
        return [getattr(row, "until", 0) for row in rows if not any(getattr(row, name, 0) for name in over)]


def said(what: LearntKind, index: int, **more: object) -> Learnt:
    values = {"subject": ANNA, "refers": 5 if index > 5 else -1, **more}
    return Learnt(what=what, origin=OTHER, index=index, made=NOON, size=index + 1, root="ab" * 32, **values)  # type: ignore[arg-type]


BARRED = said("barred", 5, until=FOR_GOOD, basis="operator", rule="barred")
ORDER = OrderedEverywhere(until=0, n=1, origin=OTHER, index=5, subject=ANNA, by=MARK)
ENDINGS = (
    Ending(said("admitted", 6, why="command"), BARRED, schema.sanctions),
    Ending(said("prolonged", 6, until=FOR_GOOD + 1), BARRED, schema.sanctions),
    Ending(
        said("revoked", 6, method="vouch", why="command"),
        said("verified", 5, method="vouch", level=2, until=FOR_GOOD),
        schema.verifications,
    ),
    Ending(said("unlinked", 6, target=TWIN), said("linked", 5, target=TWIN, method="oidc"), schema.links),
    Ending(said("unspared", 6, list="cme"), said("spared", 5, list="cme"), schema.list_spared),
    Ending(
        said("unspared", 6, list="cme", server="bad.example", subject=UserId("")),
        said("spared", 5, list="cme", server="bad.example", subject=UserId("")),
        schema.list_spared,
    ),
    Ending(said("recalled", 6, why="command"), said("ordered", 5, by=MARK), schema.orders, (ORDER,)),
)
# An entry goes with its record, and what undoes it has nothing to undo; the others begin nothing that lasts.
NEITHER = {"entry", "restored", "erase", "erase-again"}
# A prolonged ban goes on, and a link that was a mistake is remembered.
OVER = [each for each in ENDINGS if each.ends.what not in ("prolonged", "unlinked")]


def _name(ending: Ending) -> str:
    return f"{ending.ends.what} {ending.ends.server}".strip()


def test_every_kind_that_is_learnt_is_thought_of() -> None:
    known = {kind for each in ENDINGS for kind in (each.ends.what, each.begins.what)}
    assert known | NEITHER == set(get_args(LearntKind))


@pytest.mark.parametrize("ending", ENDINGS, ids=_name)
async def test_what_was_learnt_before_a_purge_is_changed_after_it(db: AsyncConnection, ending: Ending) -> None:
    for index, fact in enumerate((ending.begins, *ending.here), 10):
        await project(fact, db, index, NOON)
    before = await ending.holding(db)
    await project(PURGED, db, 100, NOON + YEAR)
    assert await ending.holding(db) == before
    await project(ending.ends, db, 101, NOON + YEAR)
    expected = [ending.ends.until] if ending.ends.what == "prolonged" else []
    assert await ending.holding(db) == expected


@pytest.mark.parametrize("ending", OVER, ids=_name)
async def test_what_was_learnt_goes_with_what_it_began(db: AsyncConnection, ending: Ending) -> None:
    for index, fact in enumerate((ending.begins, *ending.here, ending.ends), 10):
        await project(fact, db, index, NOON)
    await project(PURGED, db, 100, FOR_GOOD + YEAR)
    assert (await db.execute(select(schema.learnt.c.what))).all() == []
