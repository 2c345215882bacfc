"""The people whom a rule spares, in words: one line for each condition."""

from collections.abc import Iterator

from moderation.rules.unless import Unless
from moderation.values.notices import Code, Line, Span, line

MOST_SHOWN = 5  # patterns of people


def spared_lines(unless: Unless) -> Iterator[Line]:
    """Yield a line for each condition of a rule."""
    if unless.verified is not None:
        yield line("rules.spares.verified", level=unless.verified)
    if unless.in_room_for is not None:
        yield line("rules.spares.in-room-for", span=Span(unless.in_room_for))
    if unless.messages is not None:
        yield line("rules.spares.messages", count=unless.messages)
    if unless.users:
        more = ", …" if len(unless.users) > MOST_SHOWN else ""
        yield line("rules.spares.users", users=Code(", ".join(unless.users[:MOST_SHOWN]) + more))
