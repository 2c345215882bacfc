"""Hostile events in every kind of room, from input to disk: nothing crashes, and nothing is lost.

For all inputs: every event is recorded once and judged without a defect; the log verifies; an empty database filled
from it equals the bot's own; an export of it passes its check, and has no formula and no markup.
"""

import asyncio
import csv
import io
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.events.parse_event import receive
from bot.pipeline.replay import rebuild
from bot.texts.catalog_words import CatalogWords
from moderation.values.ids import RoomId
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.export.export import ExportRequest, export
from storage.export.selection import Selection
from storage.record_mapping import raw_of_record
from tests.examples import tried
from tests.fuzz import events
from tests.fuzz.door import OPERATOR, Door, defects
from tests.fuzz.targets import begins_a_formula, tags_of
from tests.fuzz.vocabulary import deep

TRIES = tried(60)  # each of up to eight events
NOT_OF_THE_RECORDS = ("meta", "outbox", "alembic_version", "sqlite_sequence", "challenges", "link_requests")


def served(folder: Path) -> tuple[Door, list[RoomId]]:
    """Open a deployment with a room of every purpose and a waiting case."""
    door = Door.open(folder)
    owner = "@owner:example.org"
    people = {owner: 100, events.MAX: 50, events.ANN: 0, events.BEN: 0}
    group = door.room("group", "group", people, owner=owner, code="G-2222")
    desk = door.room("desk", "desk", {owner: 0, events.MAX: 0}, served="G-2222", code="G-3333")
    lobby = door.room("lobby", "lobby", {events.BEN: 0}, served="G-2222", code="G-4444")
    direct = [
        door.room(f"direct{number}", "direct", {user: 0}, user=user, code=f"G-555{number}")
        for number, user in enumerate((events.ANN, events.MAX, str(OPERATOR)), 2)
    ]
    door.say(group, events.ANN, "forbidden 17")
    return door, [group, desk, lobby, *direct]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, list[RoomId]]]:
    """Provide one deployment for all inputs, so that each meets what the others have left behind."""
    door, rooms = served(tmp_path_factory.mktemp("door"))
    yield door, rooms
    door.close()


def check_batch(door: Door, rooms: list[RoomId], batch: list[tuple[int, Any]]) -> None:
    """Check one answer of `/sync` with these events."""
    before = door.stores.journal.size
    batch = [(place, _named_anew(door, raw)) for place, raw in batch if not _of_the_bot(raw)]
    taken = [receive(raw, rooms[place % len(rooms)], door.now) for place, raw in batch]
    fresh = {event.event or number for number, event in enumerate(taken)}
    _, wrong = defects(lambda: door.take(*taken))
    assert wrong == []
    records = door.records(before)
    raws = [raw for record in records if (raw := raw_of_record(record)) is not None]
    assert len(fresh) >= len(raws) >= len([e for e in fresh if isinstance(e, str)]) - len(taken)
    for raw in raws:
        assert receive(raw, rooms[0], 0).sender == raw["sender"]


def door_event(type_: str, content: Any) -> dict[str, Any]:
    """Return a state event of the owner."""
    event = {"event_id": "$e", "sender": "@owner:example.org", "origin_server_ts": 1, "state_key": ""}
    return {**event, "type": type_, "content": content}


def _of_the_bot(raw: Any) -> bool:
    """Tell whether the event may remove the bot from a room, where nothing would be recorded from then on."""
    return isinstance(raw, dict) and raw.get("type") == "m.room.member" and raw.get("state_key") == events.BOT


def _named_anew(door: Door, raw: Any) -> Any:
    """Return the event with a unique id, as homeservers ensure, unless its id is itself the trick."""
    if not isinstance(raw, dict) or not str(raw.get("event_id")).startswith("$e"):
        return raw
    return {**raw, "event_id": door.raw("", "", {})["event_id"]}


# As many events as a fuzzer likes, in any of the rooms.
batches = st.lists(st.tuples(st.integers(0, 5), events.events | events.anything), min_size=1, max_size=8)


# Deeper than a record keeps unchanged: the tables rebuilt from the records must still be the same.
DEEP = {"users": {events.ANN: 50}, "x": deep(70)}


@example(batch=[(0, door_event("m.room.power_levels", DEEP)), (0, door_event("m.room.create", DEEP))])
@settings(max_examples=TRIES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(batch=batches)
def test_hostile_events_in_any_room_are_recorded_and_judged(
    deployment: tuple[Door, list[RoomId]], batch: list[tuple[int, Any]]
) -> None:
    check_batch(*deployment, batch)


def test_records_of_hostile_events_verify_rebuild_and_export(
    deployment: tuple[Door, list[RoomId]], tmp_path: Path
) -> None:
    if deployment[0].stores.journal.size < 1_000:  # another worker recorded them
        test_hostile_events_in_any_room_are_recorded_and_judged(deployment=deployment)
    check_whole(*deployment, tmp_path)


def check_whole(door: Door, rooms: list[RoomId], scratch: Path) -> None:
    """Check the whole log once all inputs have been taken."""
    assert door.problems() == ()
    assert rebuilt(door, scratch) == tables(door.config.data_dir / FILE)
    out = scratch / "all.zip"
    asked = ExportRequest(Selection(everything=True), door.now, "root", "=1+1 <b>why</b>")
    assert export(door.stores.journal.folder, out, asked, CatalogWords("en")).problems == ()
    with zipfile.ZipFile(out) as file:
        assert all(
            re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?", name) and ".." not in name for name in file.namelist()
        )
        no_formula(file.read("records.csv").decode("utf-8-sig"))
        only_our_tags(file.read("index.html").decode())


def rebuilt(door: Door, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the tables rebuilt from the journal alone."""

    async def fill() -> None:
        database = await Database.open(DatabasePlace(folder))
        await rebuild(door.stores.journal, database)
        await database.close()

    asyncio.run(fill())
    return tables(folder / FILE)


def tables(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table that reflects records."""
    connection = sqlite3.connect(file)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [name for name in names if name not in NOT_OF_THE_RECORDS]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in kept}
    finally:
        connection.close()


def no_formula(text: str) -> None:
    """Check that no cell of the table begins a formula."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) > 100
    assert [cell for row in rows for cell in row if begins_a_formula(cell)] == []


def only_our_tags(html: str) -> None:
    """Check that the page has only our tags, and nothing that loads, runs or links anything."""
    found = tags_of(html)
    assert len(found) > 100
    ours = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "table", "tr", "th", "td", "article"}
    ours |= {"section", "p", "b", "span", "div", "bdi", "!DOCTYPE html"}
    assert {tag for tag, _ in found} <= ours
    names = {name for _, attributes in found for name, _ in attributes}
    assert names <= {"lang", "charset", "http-equiv", "content", "name", "class", "dir", "scope", "id", "title"}
