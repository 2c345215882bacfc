"""Waves of people in words: to those who run the room, and in `!status`.

Left to others: what a wave is (`moderation/rooms/join_waves.py`).
"""

from collections.abc import Iterator

from moderation.model.context import RoomView
from moderation.model.facts import WaveNoticed
from moderation.policy import Policy
from moderation.rooms.join_waves import measure_in
from moderation.values.notices import Line, Moment, RoomName, Span, line


def wave_lines(fact: WaveNoticed) -> Iterator[Line]:
    """Yield what happened, what the bot does about it, and what people can do."""
    yield line("wave.seen", room=RoomName(fact.home), count=fact.count, span=Span(fact.within))
    if fact.removed:
        yield line("wave.removed", count=fact.removed)
    if fact.limited:
        yield line("wave.limited")
    if fact.do == "tell":
        yield line("wave.next")
    else:
        yield line(f"wave.does.{fact.do}", until=Moment(fact.until))
        yield line("wave.undo", n=fact.n)


def join_lines(policy: Policy, room: RoomView) -> Iterator[Line]:
    """Yield what follows if many people come into a room at once, if anything does."""
    settings, do = policy.joins, measure_in(room, policy)
    for count, within in ((settings.wave, settings.within), (settings.slow_wave, settings.slow_within)):
        if do is not None and count:
            yield line(f"status.joins.{do}", count=count, span=Span(within), every=Span(settings.lasts))
    if do not in (None, "tell") and settings.undo:
        yield line("status.joins.undo")


def removal_lines(policy: Policy, room: RoomView) -> Iterator[Line]:
    """Yield what members have to know: nothing, unless a wave can have people removed."""
    if policy.joins.undo and measure_in(room, policy) not in (None, "tell"):
        yield from join_lines(policy, room)
