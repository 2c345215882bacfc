"""Every action has one handler, which declares it."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from bot.outbox.handler import Done, Handlers, by_action
from moderation.model.actions import ACTIONS, Action, Kick, Redact, TellAbove


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
