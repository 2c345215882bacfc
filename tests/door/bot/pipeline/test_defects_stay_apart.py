"""A defect on one side of an event is recorded, and harms no other side of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.commands import dispatcher
from bot.pipeline.room_changes import RoomChanges
from moderation.model.actions.telling import Say
from moderation.model.facts import CaseOpened, NotSeen, SanctionStarted
from moderation.values.ids import RoomId
from tests.fuzz.door import Door, defects

ANN, MARK = "@ann:example.org", "@mark:example.org"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Door, RoomId]]:
    door = Door.open(tmp_path)
    room = door.room("group", "group", {MARK: 50, ANN: 0}, user=MARK, code="G-2222")
    yield door, room
    door.close()


async def _fails(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(
    ("owner", "name"), [(dispatcher.Commands, "respond"), (RoomChanges, "follow")], ids=["a command", "a change"]
)
def test_a_message_is_judged_despite_failures_in_other_parts(
    door: tuple[Door, RoomId], monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    deployment, room = door
    monkeypatch.setattr(owner, name, _fails)
    (facts, _), logged = defects(lambda: deployment.say(room, ANN, "!help a purple elephant"))
    failed = [fact for fact in facts if isinstance(fact, NotSeen)]
    assert [(fact.what, fact.count) for fact in failed] == [("failed", 1)]
    assert [entry["event"] for entry in logged] == ["judging_failed"]
    assert sum(isinstance(fact, CaseOpened) for fact in facts) == 1
    assert [fact.kind for fact in facts if isinstance(fact, SanctionStarted)] == ["redact"]
    assert deployment.problems() == ()


def test_who_asks_is_told_that_a_command_failed(door: tuple[Door, RoomId], monkeypatch: pytest.MonkeyPatch) -> None:
    deployment, room = door
    monkeypatch.setattr(dispatcher, "_command", _fails)
    (facts, actions), logged = defects(lambda: deployment.say(room, MARK, "!help"))
    assert [fact.what for fact in facts if isinstance(fact, NotSeen)] == ["failed"]
    assert [entry["event"] for entry in logged] == ["judging_failed"]
    (said,) = [action for action in actions if isinstance(action, Say)]
    assert (said.to, [each.key for each in said.lines]) == (MARK, ["error.defect"])


def test_a_command_is_answered_although_judging_failed(
    door: tuple[Door, RoomId], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, room = door
    monkeypatch.setattr("bot.pipeline.judge_event.judge", lambda *_: 1 / 0)
    (facts, actions), _ = defects(lambda: deployment.say(room, MARK, "!help"))
    assert [fact.what for fact in facts if isinstance(fact, NotSeen)] == ["failed"]
    assert actions
    monkeypatch.undo()
    facts, _ = deployment.say(room, ANN, "a purple elephant")
    assert sum(isinstance(fact, CaseOpened) for fact in facts) == 1
