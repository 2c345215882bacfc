"""Rows and records that agree in non-obvious ways are no difference; data on only one side are."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import psycopg
import pytest

from moderation.model.facts import (
    AccountsLinked,
    Appealed,
    CaseDecided,
    CaseOpened,
    CreditChanged,
    Fact,
    NotSeen,
    RoomEntered,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from moderation.values.errors import Broken
from moderation.values.ids import GroupCode, PersonId, RoomId, UserId
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.database.server import session
from storage.journal.journal import Journal
from storage.journal.record_keys import PersonKeys
from storage.projections import project, set_meta
from storage.queries.tables_sample import SampleDifference, differences
from storage.record_mapping import draft_of_fact
from tests.postgres.engines import Engine

NOON, DAY = 1_795_521_600_000, 86_400_000
CODE, ROOM, LATER = GroupCode("G-7F3K"), RoomId("!old:example.org"), RoomId("!new:example.org")
ANNA, BEN, CLEO = UserId("@anna:example.org"), UserId("@ben:example.org"), UserId("@cleo:example.org")
ENTERED = RoomEntered(code=CODE, purpose="group", room_id=ROOM, subject=CLEO)  # record 1
CASE = CaseOpened(
    room=ROOM, n=1, rule="calm", grade="minor", decide="manager", state="open", due=0, subject=ANNA, excerpt="words"
)
MUTE = SanctionStarted(room=ROOM, kind="mute", until=NOON + DAY, basis="rule", rule="calm", subject=ANNA)
CHARGE = CreditChanged(room=ROOM, entry="charge", cost=5, grade="minor", rule="calm", left=95, subject=ANNA)


def decided(by: UserId = CLEO, what: str = "upheld", state: str = "decided") -> CaseDecided:
    return CaseDecided(room=ROOM, n=1, what=what, state=state, subject=ANNA, by=by, reason="why")  # type: ignore[arg-type]


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> DatabasePlace:
    return engine.place(tmp_path)


def change(place: DatabasePlace, *statements: str) -> None:
    """Change rows behind the bot's back."""
    opened = psycopg.connect(**session(place)) if place.url else sqlite3.connect(place.file)
    with closing(opened) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


async def recorded(place: DatabasePlace, facts: Sequence[tuple[Fact, int]]) -> None:
    """Write facts, each with its time, to the journal and to the tables."""
    keys = PersonKeys.open(DatabasePlace(place.data_dir))
    database = await Database.open(place)
    with Journal.open(place.data_dir, "example.org/log", keys, NOON) as journal:
        for fact, at in facts:
            code = CODE if fact.room or isinstance(fact, RoomEntered) else None
            (index,) = journal.append([draft_of_fact(fact, at, code, PersonId)])[:1]
            async with database.write() as db:
                await project(fact, db, index, at)
                await set_meta(db, "applied", str(journal.size))
        journal.close(NOON)
    keys.close()
    await database.close()


def compared(place: DatabasePlace, seed: int = 1) -> list[SampleDifference]:
    return differences(place, place.data_dir / "records", Random(seed))


ALIKE: dict[str, list[tuple[Fact, int]]] = {
    "a measure that was made longer, and ended another day": [
        (MUTE, NOON),
        (SanctionExtended(room=ROOM, start=2, kind="mute", until=NOON + 3 * DAY, subject=ANNA), NOON + DAY),
        (SanctionExtended(room=ROOM, start=2, kind="mute", until=NOON + 5 * DAY, subject=ANNA), NOON + 2 * DAY),
        (SanctionEnded(room=ROOM, start=2, kind="mute", why="time", subject=ANNA), NOON + 5 * DAY),
    ],
    "a measure that ended while the clock was set back": [
        (MUTE, NOON),
        (CHARGE, NOON + 4 * DAY),
        (SanctionEnded(room=ROOM, start=2, kind="mute", why="credit", subject=ANNA), NOON + DAY),
    ],
    "a measure for neglect that a pause of the bot made longer": [
        (SanctionStarted(room=ROOM, kind="suspend", until=NOON + DAY, basis="neglect", subject=CLEO), NOON),
        (NotSeen(what="down", count=DAY // 2, since=NOON + 10), NOON + DAY),
    ],
    "a decision that was reversed on appeal": [
        (CASE, NOON),
        (decided(), NOON + 10),
        (Appealed(room=ROOM, n=1, due=NOON + DAY, subject=ANNA, words="no"), NOON + 20),
        (decided(BEN, "dismissed", "reversed"), NOON + DAY),
    ],
    "a decision under appeal": [
        (CASE, NOON),
        (decided(), NOON + 10),
        (Appealed(room=ROOM, n=1, due=NOON + DAY, subject=ANNA, words="no"), NOON + 20),
    ],
    "accounts that were linked later": [
        (CASE, NOON),
        (CHARGE, NOON),
        (MUTE, NOON),
        (AccountsLinked(subject=ANNA, target=BEN, method="confirmed"), NOON + 10),
        (CHARGE, NOON + 20),
    ],
    "a group that moved to another room": [
        (CASE, NOON),
        (CHARGE, NOON),
        (MUTE, NOON),
        (RoomEntered(code=CODE, purpose="group", room_id=LATER, subject=CLEO), NOON + 10),
    ],
    "a measure in all rooms": [
        (SanctionStarted(kind="ban", until=0, basis="credit", rule="tier_e", subject=ANNA), NOON),
    ],
}


@pytest.mark.parametrize("what", ALIKE)
async def test_effects_of_later_records_do_not_differ(place: DatabasePlace, what: str) -> None:
    await recorded(place, [(ENTERED, NOON), *ALIKE[what]])
    assert [found for seed in range(5) if (found := compared(place, seed))] == []


async def test_a_row_without_a_record_differs(place: DatabasePlace) -> None:
    await recorded(place, [(ENTERED, NOON), *ALIKE["a measure that was made longer, and ended another day"]])
    change(
        place,
        f"UPDATE sanctions SET until = {NOON + 4 * DAY}, why_ended = 'reversed'",
    )
    assert compared(place) == [
        SampleDifference("sanctions", 2, 2, "ended"),
        SampleDifference("sanctions", 2, 2, "until"),
    ]


async def test_a_few_rows_and_a_stretch_of_records_are_all_that_is_looked_at(place: DatabasePlace) -> None:
    await recorded(place, [(ENTERED, NOON), *((CHARGE, NOON + number) for number in range(400))])
    change(
        place,
        "UPDATE credit SET cost = 6",
    )
    found = {(each.key, each.what) for seed in range(30) for each in compared(place, seed)}
    assert {what for _, what in found} == {"cost"}
    assert len(compared(place)) == 20  # more need not be named
    assert len(found) > 200  # chance leads everywhere in time


async def test_a_differing_row_is_always_compared_again(place: DatabasePlace) -> None:
    await recorded(place, [(ENTERED, NOON), *((CHARGE, NOON + number) for number in range(400))])
    change(
        place,
        "UPDATE credit SET cost = 6 WHERE record = 300",
        "DELETE FROM credit WHERE record = 17",
    )
    known = [SampleDifference("credit", 17, 17, "missing"), SampleDifference("credit", 300, 300, "cost")]
    for seed in range(5):
        assert differences(place, place.data_dir / "records", Random(seed), known) == known


async def test_a_damaged_day_is_told_and_compared_with_nothing(place: DatabasePlace) -> None:
    await recorded(place, [(ENTERED, NOON), (CHARGE, NOON)])
    (day,) = (place.data_dir / "records" / "day").iterdir()
    day.write_bytes(day.read_bytes().replace(b'"k":"credit"', b'"k":credit'))
    with pytest.raises(Broken, match="line 3"):
        compared(place)
