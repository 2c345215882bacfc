"""The cached views of rooms and people agree with the tables."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.view_cache import ViewCache
from moderation.model.facts import (
    FACTS,
    ActionTaken,
    CaseAssigned,
    CaseGrew,
    CaseOpened,
    ConsoleCommand,
    ConsoleEnded,
    ConsoleLinkGiven,
    ConsoleOpened,
    CreditChanged,
    EndNamed,
    Fact,
    FileLabelled,
    Found,
    FoundOnTrial,
    ListChosen,
    ListMatched,
    ListPreviewed,
    ListPublished,
    ListRead,
    ListSpared,
    MessageWithheld,
    NoticeGiven,
    OrderedEverywhere,
    OrderRecalled,
    PolicyServerSet,
    QuestionAsked,
    RoomEntered,
    RoomStateChanged,
    SanctionStarted,
    ServerListed,
    ShardPinned,
    StatementGiven,
    Swept,
)
from moderation.rooms.slow_mode import ROOM_SLOW
from moderation.values.ids import NO_USER, EventId, GroupCode, RoomId, UserId
from storage import queries
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.projections import project

ROOM, ANNA, BOT = RoomId("!r:example.org"), UserId("@anna:example.org"), UserId("@bot:example.org")
NOON = 1_795_521_600_000
ABOUT: dict[str, Any] = {"room": ROOM, "n": 1, "subject": ANNA}

OPENED = CaseOpened(
    **ABOUT, rule="r", grade="minor", decide="auto", state="decided", due=0, manages=0, event=EventId("$a")
)
CHARGED = CreditChanged(**ABOUT, entry="charge", cost=5, left=95, grade="minor", rule="r")
NOTHING: tuple[Fact, ...] = (
    ActionTaken(room=ROOM, action="card", result="done", n=1, txn="t", subject=ANNA, made="$card"),
    CaseAssigned(**ABOUT, asked="managers", due=5),
    CaseGrew(**ABOUT, on=7, event=EventId("$b")),
    PolicyServerSet(room=ROOM, step="on", by=ANNA),
    MessageWithheld(
        room=ROOM, by="policy_server", refused=5, rule="r", grade="minor", subject=ANNA, event=EventId("$w")
    ),
    OrderedEverywhere(room=ROOM, n=1, subject=ANNA, by=ANNA, reason="spam"),
    OrderRecalled(room=ROOM, start=5, why="command", n=1, subject=ANNA, by=ANNA),
    EndNamed(ends="recalled", of="example.org/two", of_era="-", index=7, why="command", subject=ANNA),
    ShardPinned(origin="example.org/two", vkey="example.org/two+00000000+AAAA"),
    ConsoleLinkGiven(room=ROOM, until=5, subject=ANNA, ticket="t"),
    ConsoleOpened(room=ROOM, link=1, until=5, subject=ANNA, session="s"),
    ConsoleCommand(room=ROOM, start=2, subject=ANNA, words="help"),
    ConsoleEnded(room=ROOM, start=2, why="left", subject=ANNA),
    FileLabelled(room=ROOM, on=1, plugin="pictures", subject=ANNA, labels='{"huge": 900}', url="mxc://example.org/a"),
    Found(room=ROOM, rule="r", grade="minor", where="body", subject=ANNA),
    FoundOnTrial(room=ROOM, rule="r", grade="minor", where="body", subject=ANNA),
    ListChosen(room=ROOM, step="watched", list="cme", list_room="!list"),
    ListPreviewed(room=ROOM, step="asked", number=3, by=ANNA),
    ListRead(list="cme", entries=1, added=1, removed=0, digest="0"),
    ListMatched(**ABOUT, step="propose", list="cme", of="user", advice="ban"),
    ServerListed(room=ROOM, n=1, step="propose", list="cme", advice="ban", people=1, server="bad.example"),
    ListPublished(**ABOUT, step="published", list="ours"),
    ListSpared(room=ROOM, list="cme", subject=ANNA),
    NoticeGiven(**ABOUT, what="w", channel="direct"),
    QuestionAsked(room=ROOM, n=1, what="reason", made="$asked"),
    StatementGiven(**ABOUT, statement="{}"),
    SanctionStarted(**ABOUT, kind="redact", basis="rule", rule="r", event=EventId("$a")),
    Swept(**ABOUT, since=1, until=5, oldest=0, count=3),
)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        entered = RoomEntered(room=ROOM, code=GroupCode("G-7F3K"), purpose="group", room_id=ROOM)
        for index, fact in enumerate((entered, RoomStateChanged(room=ROOM, condition="protected"), OPENED)):
            await project(fact, db, index, NOON)
        yield db
    await database.close()


async def known(db: AsyncConnection) -> tuple[object, object]:
    return await queries.person_view(db, ANNA, now_ms=NOON, recent_since=0), await queries.room_view(db, ROOM, BOT)


def test_every_kind_declared_unchanging_is_tried() -> None:
    said = {change: {cls for cls in FACTS if change == cls.CHANGES} for change in ("nothing", "people alone")}
    assert said["nothing"] | {SanctionStarted} == {type(fact) for fact in NOTHING}
    assert said["people alone"] == {type(fact) for fact in (OPENED, CHARGED)}


@pytest.mark.parametrize("fact", NOTHING, ids=lambda fact: type(fact).__name__)
async def test_cached_views_have_not_changed(db: AsyncConnection, fact: Fact) -> None:
    before = await known(db)
    await project(fact, db, 10, NOON)
    assert await known(db) == before


async def test_what_holds_against_nobody_in_particular_is_always_known(db: AsyncConnection) -> None:
    knowledge = ViewCache(BOT, incident_ms=0, window_ms=0)
    await knowledge.begin(db)
    assert (await knowledge.person(db, NO_USER, NOON)).in_force == ()
    denied = SanctionStarted(room=ROOM, kind="server", basis="command", server="bad.example")
    await project(denied, db, 11, NOON)
    knowledge.changed([denied])
    assert [each.server for each in (await knowledge.person(db, NO_USER, NOON)).in_force] == ["bad.example"]


async def test_a_daily_notice_invalidates_its_view(db: AsyncConnection) -> None:
    knowledge = ViewCache(BOT, incident_ms=0, window_ms=0)
    await knowledge.begin(db)
    assert (await knowledge.person(db, ANNA, NOON)).told == {}
    held = SanctionStarted(room=ROOM, kind="redact", basis="rule", rule=ROOM_SLOW, subject=ANNA, event=EventId("$s"))
    await project(held, db, 10, NOON)
    knowledge.changed([held])
    assert (await knowledge.person(db, ANNA, NOON)).told == {(ROOM, ROOM_SLOW): NOON}


@pytest.mark.parametrize("fact", (OPENED, CHARGED), ids=lambda fact: type(fact).__name__)
async def test_a_change_of_a_person_keeps_the_view_of_the_room(db: AsyncConnection, fact: Fact) -> None:
    before = await known(db)
    if isinstance(fact, CaseOpened):
        fact = replace(fact, n=2, event=EventId(""))
    await project(fact, db, 10, NOON)
    after = await known(db)
    assert after[0] != before[0]
    assert after[1] == before[1]
