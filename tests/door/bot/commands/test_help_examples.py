"""Every example that `!help` shows can be typed as it stands, in both languages."""

import re
from pathlib import Path
from typing import Any

import pytest

from bot.commands.parse import WORDING
from bot.commands.registry import COMMANDS
from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.matrix_message import Speech
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Say, Tell
from moderation.rules.registry import KINDS
from moderation.values.notices import Line
from tests.fuzz.door import OPERATOR
from tests.fuzz.world import ANN, GROUP, OWNER, World

NOT_UNDERSTOOD = (*WORDING, "error.unknown", "error.did-you-mean", "error.language", "room-rule.wrong")
REPLIES = ("redact", "receipt", "report")  # commands about a message that is replied to
CATALOG = Catalog.load()


def keys(actions: list[Action]) -> list[str]:
    return [line.key for action in actions if isinstance(action, Say | Tell) for line in action.lines]


def typed(world: World, name: str, words: str) -> list[str]:
    """Type words of one command as somebody who may. Returns the keys of the answer."""
    who = OPERATOR if COMMANDS[name].shown_to == "operator" else OWNER
    room = world.direct[who] if name in ("approve", "verify") else world.desks[GROUP]
    content: dict[str, Any] = {}
    if name in REPLIES:
        said = next(event for where, event in world.messages if where == GROUP)
        room, content = GROUP, {"m.relates_to": {"m.in_reply_to": {"event_id": said}}}
    return keys(world.door.say(room, who, words, **content)[1])


def understood(world: World, name: str, words: str) -> bool:
    wrong = (*NOT_UNDERSTOOD, *COMMANDS[name].wording)
    return not [key for key in typed(world, name, words) if key.startswith(wrong)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_is_understood(tmp_path: Path, language: str) -> None:
    world = World(tmp_path)
    try:
        failed = []
        for name in dict.fromkeys(command.name for command in COMMANDS.values()):
            example = CATALOG.template(language, f"command.{name}.example").strip("`")
            own = CATALOG.template(language, f"command.{name}.name")
            for words in dict.fromkeys((example, example.replace(name, own, 1))):
                world.door.now += 3_600_000  # nobody has asked too often
                if not understood(world, name, words):
                    failed.append(words)
        assert failed == []
    finally:
        world.door.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_of_each_kind_can_be_added_as_the_usage_writes_it(tmp_path: Path, language: str) -> None:
    world = World(tmp_path, cases=False)
    try:
        pieces = re.findall("`([^`]*)`", CATALOG.text(language, "command.rule.usage"))
        written = [piece for piece in pieces if piece.split()[0] in KINDS]
        assert len(written) >= 7
        for piece in written:
            name = piece.split()[0]
            assert "room-rule.added" in typed(world, "rule", f"!rule add my-{name} {piece} minor"), piece
    finally:
        world.door.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_help_itself_names_is_understood(tmp_path: Path, language: str) -> None:
    world = World(tmp_path, cases=False)
    try:
        for who in (OWNER, ANN, OPERATOR):
            for asked in ("!help", "!help all", "!help rule", f"!{CATALOG.template(language, 'command.help.name')}"):
                _, actions = world.door.say(world.direct[who], who, asked)
                lines = [line for action in actions if isinstance(action, Say) for line in action.lines]
                for command in commands_in(world, lines, language):
                    _, answered = world.door.say(world.direct[who], who, command)
                    assert not [key for key in keys(answered) if key.startswith("error.")], (asked, command)
    finally:
        world.door.close()


def commands_in(world: World, lines: list[Line], language: str) -> set[str]:
    """Return the ways to ask for more help that an answer shows."""
    speech = Speech(CATALOG, world.door.config.policy, language)
    shown = speech.text(lines, language, {}).html
    return {each for each in re.findall(r"<code>(!help[^<]*)</code>", shown) if "[" not in each}
