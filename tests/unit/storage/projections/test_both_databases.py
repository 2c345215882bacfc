"""Whatever is recorded, the tables made from it are the same on SQLite and PostgreSQL, row by row.

The records are of any facts and events, with any words. One difference is known: PostgreSQL holds no U+0000.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from bot.events.parse_event import receive
from bot.pipeline.replay import rebuild
from moderation.model.facts import (
    FACTS,
    CaseOpened,
    CreditChanged,
    Fact,
    PartsErased,
    PersonVerified,
    PolicyChanged,
    RoomEntered,
    SanctionStarted,
)
from moderation.values.errors import AnswerableError
from moderation.values.ids import CaseNumber, RecordIndex
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft, Record
from storage.record_mapping import draft_of_event
from tests.examples import tried
from tests.postgres.engines import Engine, on_postgresql
from tests.theatre.state_tables import Copy, StateTables
from tests.unit.moderation.builders import DAY, NOON
from tests.unit.storage.test_record_mapping import BOT, CODE, ROOM, facts_of, on_disk, person_of, raws, written

ENTERED = RoomEntered(room=None, room_id=ROOM, code=CODE, purpose="group")
ANYWHERE = (RoomEntered, SanctionStarted, CreditChanged, PersonVerified)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[Any, int, int]]:
    """Draw a fact of every class and some events, in any order, after some cases were opened."""
    classes: list[type[Fact]] = [*[CaseOpened] * 3, *draw(st.permutations(FACTS))]
    told: list[Any] = [draw(facts_of(cls)) for cls in classes]
    for raw in draw(st.lists(raws(), min_size=10, max_size=10)):
        told.insert(draw(st.integers(3, len(told))), raw)
    return [(what, draw(st.integers(1, 3)), draw(st.integers(0, DAY))) for what in told]


def story(told: Sequence[tuple[Any, int, int]]) -> list[Record]:
    """Return the records of facts and events; those about cases are about the few that were opened."""
    drafts: list[Draft] = [written(ENTERED)]
    opened, now = 0, NOON
    for what, number, pause in told:
        now += pause
        if isinstance(what, Fact):
            opened += isinstance(what, CaseOpened)
            drafts.append(replace(written(_numbered(what, opened, number)), at_ms=now))
        else:
            drafts.append(draft_of_event(receive(what, ROOM, now), CODE, person_of, bot=BOT))
    return [replace(on_disk(draft), index=RecordIndex(index)) for index, draft in enumerate(drafts)]


def _numbered(fact: Fact, opened: int, number: int) -> Fact:
    """Return the fact about a case that there is; a case that is opened has a number of its own."""
    if fact.room is None and not isinstance(fact, ANYWHERE):
        fact = replace(fact, room=ROOM)
    if isinstance(fact, PolicyChanged):
        return replace(fact, policy="")  # words are no policy
    if isinstance(fact, PartsErased):
        return replace(fact, records="0-3")
    if not any(field.name == "n" for field in fields(fact)):
        return fact
    n = CaseNumber(opened if isinstance(fact, CaseOpened) else min(number, opened))
    return cast(Fact, replace(cast(Any, fact), n=n))


async def tables_of(records: Sequence[Record], place: DatabasePlace) -> Copy:
    """Return the tables made from the records."""
    database = await Database.open(place)
    state, journal = StateTables(place), SimpleNamespace(size=len(records), read=lambda: iter(records))
    try:
        await rebuild(cast(Journal, journal), database)
        return {name: sorted(rows) for name, rows in state.copy().items()}
    finally:
        await database.close()
        state.close()


@on_postgresql
@settings(max_examples=tried(6), phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(steps())
def test_any_records_give_the_same_tables(engine: Engine, told: list[tuple[Any, int, int]]) -> None:
    records = story(told)
    with TemporaryDirectory() as name:
        here, there = DatabasePlace(Path(name)), engine.place(Path(name) / "elsewhere")
        try:
            expected = asyncio.run(tables_of(records, here))
        except (IntegrityError, AnswerableError, ValueError, AssertionError):
            return  # no log has such records
        empty = StateTables(there).copy()
        found = asyncio.run(tables_of(records, there))
        StateTables(there).put_back(empty)
    assert found == {name: [_storable(row) for row in rows] for name, rows in expected.items()}


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
