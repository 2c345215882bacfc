"""Every action has one handler, which declares it."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from bot.outbox.handler import Done, Handlers, by_action
from moderation.model.actions.base import Action
from moderation.model.actions.registry import ACTIONS
from moderation.model.actions.removal import Kick, Redact
from moderation.model.actions.telling import TellAbove
from tests.sources import Sources


@dataclass(frozen=True, slots=True)
class Part:
    handles: Handlers


async def handle(_action: Action, _txn: str) -> Done:
    return Done()


def part(actions: Iterable[type[Action]]) -> Part:
    return Part(dict.fromkeys(actions, handle))


ALL = set(ACTIONS.values()) - {TellAbove}


def test_each_action_is_handled_by_the_part_that_declares_it() -> None:
    assert by_action(part({Redact, Kick}), part(ALL - {Redact, Kick})) == dict.fromkeys(ALL, handle)


def test_an_action_without_a_handler_is_told() -> None:
    with pytest.raises(ValueError, match=r"handled by nobody: \['kick'\]"):
        by_action(part(ALL - {Kick}))


def test_an_action_with_two_handlers_is_told() -> None:
    with pytest.raises(ValueError, match=r"handled twice: \['redact'\]"):
        by_action(part(ALL), part({Redact}))


def declared(cls: ast.ClassDef) -> list[tuple[str, str]]:
    """Return the actions in the `handles` of a class, each with the action that its method takes."""
    takes = {
        each.name: ast.unparse(each.args.args[1].annotation or each)
        for each in ast.walk(cls)
        if isinstance(each, ast.AsyncFunctionDef) and len(each.args.args) == 3
    }
    tables = [
        each.value
        for each in ast.walk(cls)
        if isinstance(each, ast.AnnAssign)
        and ast.unparse(each.target) == "self.handles"
        and isinstance(each.value, ast.Dict)
    ]
    return [
        (ast.unparse(key), takes[value.attr])
        for table in tables
        for key, value in zip(table.keys, table.values, strict=True)
        if key and isinstance(value, ast.Attribute)
    ]


def test_the_method_for_an_action_takes_that_action(sources: Sources) -> None:
    files = [source for source in sources if source.name.startswith("bot/")]
    found = [pair for file in files for cls in file.each(ast.ClassDef) for pair in declared(cls)]
    assert {action for action, _ in found} == {cls.__name__ for cls in ALL}
    assert [pair for pair in found if pair[0] != pair[1]] == []
