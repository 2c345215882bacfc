"""An owner's choices for a room only add to the operator's requirements, never reduce them."""

from typing import Any

import pytest

from moderation.model.context import Choices
from moderation.people.verification import Asks, with_choice

NOTHING = Asks(below="remind", grace=7)


@pytest.mark.parametrize(
    ("operators", "chosen", "write", "below"),
    [
        (NOTHING, Choices(), 0, "remind"),
        (NOTHING, Choices(write=1, below="restrict"), 1, "restrict"),
        (Asks(write=2, below="gate"), Choices(write=1, below="remind"), 2, "gate"),
        (Asks(write=1, below="remind"), Choices(write=2, below="remove"), 2, "remove"),
        (Asks(write=2, below="off"), Choices(write=1, below="remind"), 1, "remind"),  # nothing follows: not asked
        (Asks(below="gate"), Choices(write=1, below="remind"), 1, "remind"),
    ],
)
def test_the_stricter_of_both_settings_applies(operators: Asks, chosen: Choices, write: int, below: Any) -> None:
    asked = with_choice(operators, chosen)
    assert (asked.write, asked.below, asked.grace, asked.methods) == (
        write,
        below,
        operators.grace,
        operators.methods,
    )


def test_managers_are_asked_for_what_the_operator_asks() -> None:
    chosen = Choices(write=1, below="restrict")
    assert with_choice(Asks(manage=2, below="remind"), chosen).of_managers
    assert not with_choice(Asks(manage=2, below="off"), chosen).of_managers
