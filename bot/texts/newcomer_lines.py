"""The limits on people who are new in a room, in words.

Left to others: what that is (`moderation/judge/newcomers.py`).
"""

from collections.abc import Iterator
from typing import Literal

from moderation.judge.newcomers import held_in
from moderation.model.context import RoomView
from moderation.policy import Held, Policy
from moderation.values.notices import Bracketed, Line, Span, line

from .spared_lines import spared_lines


def new_until(left_ms: int, messages: int) -> Literal["both", "time", "messages"]:
    """Return what ends somebody's time as a newcomer: time, messages, or both."""
    return "both" if left_ms and messages else "time" if left_ms else "messages"


def newcomer_lines(policy: Policy, room: RoomView) -> Iterator[Line]:
    """Yield what new people cannot post in a room, if there is anything."""
    settings, held = policy.newcomers, held_in(room, policy)
    if held and (settings.lasts or settings.messages):
        until = new_until(settings.lasts, settings.messages)
        every, count = Span(settings.lasts), settings.messages
        yield line(f"status.newcomers.{until}", every=every, count=count, what=held_words(held))
        yield from spared_lines(settings.unless)


def held_words(held: tuple[Held, ...]) -> Bracketed:
    """Return what is held back, in brackets."""
    return Bracketed(tuple(line(f"held.{each}") for each in held))
