"""Somebody of several rooms who names none is told their codes, with the command to type."""

from pathlib import Path

import pytest

from moderation.model.actions.telling import Say
from moderation.values.notices import Code
from tests.fuzz.world import ANN, CODES, GROUP, MAX, OTHER, World


@pytest.mark.parametrize(
    ("who", "typed", "command"),
    [
        (ANN, "!who", "!who"),
        (ANN, "!状态", "!状态"),
        (MAX, "!credit @ben:example.org", "!credit"),
        (MAX, "!credit Ben Lee", "!credit Ben Lee"),
        (MAX, "!lang 中文 room", "!lang zh room"),
        (MAX, "!mute ben 1h", "!mute"),
    ],
)
def test_the_answer_lists_the_codes_and_an_example(tmp_path: Path, who: str, typed: str, command: str) -> None:
    world = World(tmp_path, cases=False)
    try:
        _, actions = world.door.say(world.direct[who], who, typed)
        (said,) = (line for action in actions if isinstance(action, Say) for line in action.lines[:1])
        assert said.key == "error.group.which"
        assert said.fields["command"] in {Code(f"{command} {CODES[room]}") for room in (GROUP, OTHER)}
        assert all(CODES[room] in str(said.fields["rooms"]) for room in (GROUP, OTHER))
    finally:
        world.door.close()
