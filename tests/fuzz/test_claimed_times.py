"""An event with any claimed time is recorded, judged by its time of arrival, exported and rebuilt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.events.parse_event import receive
from moderation.model.facts import CaseOpened, NotSeen, SanctionStarted
from tests.fuzz.door import Door, defects
from tests.fuzz.test_door import check_whole

MARK = "@mark:example.org"
YEAR_MS = 365 * 86_400_000
NOW = 1_795_521_600_000
CLAIMED = [
    0,
    -1,
    -62_135_596_800_001,  # before the year 1
    NOW - 100 * YEAR_MS,
    NOW + 1,
    NOW + 100 * YEAR_MS,
    253_402_300_800_000,  # the year 10000
    2**53 - 1,
    2**53,
    -(2**53),
    2**63,
    2**64,
    10**30,
    1e300,
    0.5,
]

PEOPLE = [f"@p{number}:example.org" for number in range(len(CLAIMED))]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door.open(tmp_path / "deployment")
    yield door
    door.close()


def test_events_of_all_times_are_taken_as_they_come(door: Door, tmp_path: Path) -> None:
    room = door.room("group", "group", {MARK: 50, **dict.fromkeys(PEOPLE, 0)}, user=MARK, code="G-2222")

    def say(who: str, words: str, claimed: float) -> None:
        content = {"msgtype": "m.text", "body": words}
        raw = door.raw(who, "m.room.message", content) | {"origin_server_ts": claimed}
        before = door.stores.journal.size
        door.take(receive(raw, room, door.now))
        facts = door.facts(before)
        opened = [fact for fact in facts if isinstance(fact, CaseOpened)]
        assert not [fact for fact in facts if isinstance(fact, NotSeen)]
        if "ticket" in words:
            assert opened == []
            return
        assert len(opened) == 1 and opened[0].state == "open"
        assert 0 < opened[0].due - door.now < YEAR_MS  # the deadline runs from when it came
        assert [fact.kind for fact in facts if isinstance(fact, SanctionStarted)] == []

    def all_of_them() -> None:
        for who, claimed in zip(PEOPLE, CLAIMED, strict=True):
            say(who, "no ticket", claimed)
            say(who, "forbidden 7", claimed)

    _, logged = defects(all_of_them)
    assert logged == []
    check_whole(door, [room], tmp_path)
