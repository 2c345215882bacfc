"""Strips of time: recorded, not recorded, unknown.

Rules kept here:
- What is not recorded is never joined away: it is drawn at least as wide as can be seen, above everything else.
- It is told by stripes and by the table, not by colour alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Literal

from markupsafe import Markup

from moderation.values.notices import Moment, Span

from .axes import span_of, time_axis
from .svg import MOST_ROWS, DrawingWords, Numbers, drawing, hatched, rect, share, words_at

ROW, BAR = 38, 14
_FINEST = 400  # stretches across: a shorter one is drawn as long as one of these
_MOST_LANES = 60
_STRIPES = "strip-stripes"

State = Literal["there", "gap", "unknown"]
_OVER: tuple[State, ...] = ("there", "unknown", "gap")  # later ones are drawn over earlier ones


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time and whether it is recorded."""

    since_ms: int
    until_ms: int
    state: State


@dataclass(frozen=True, slots=True)
class Lane:
    """One strip: a room or a desk, and its stretches."""

    name: str
    stretches: Sequence[Stretch]


def draw_strip(since_ms: int, until_ms: int, lanes: Sequence[Lane], title: str, words: DrawingWords) -> Markup:
    """Draw what is recorded of each lane."""
    since, until = span_of(since_ms, until_ms)
    lanes = [Lane(lane.name, list(_within(lane.stretches, since, until))) for lane in lanes]
    drawn = lanes[:_MOST_LANES]
    height = max(len(drawn), 1) * ROW
    return drawing(
        "strip",
        title,
        _sentence(lanes, words),
        _numbers(lanes, words),
        words,
        hatched(_STRIPES),
        *time_axis(since, until, height, words),
        *(part for place, lane in enumerate(drawn) for part in _lane(lane, since, until, place * ROW)),
        height=height,
    )


def _within(stretches: Sequence[Stretch], since_ms: int, until_ms: int) -> Iterator[Stretch]:
    """Yield the parts of stretches in the time that is drawn."""
    for each in stretches:
        if since_ms <= each.since_ms < each.until_ms <= until_ms:
            yield each  # as most are
        elif each.since_ms < until_ms and each.until_ms > max(each.since_ms, since_ms):
            yield Stretch(max(each.since_ms, since_ms), min(each.until_ms, until_ms), each.state)


def _lane(lane: Lane, since_ms: int, until_ms: int, top: int) -> Iterator[Markup]:
    yield words_at(0, top + 12, lane.name, class_="count-of")
    for state in _OVER:
        for start, stop in _places(lane.stretches, state, since_ms, until_ms):
            x, width = share(start, _FINEST), share(stop - start, _FINEST)
            stripes = _STRIPES if state == "gap" else ""
            yield rect(x, top + ROW - BAR - 4, width, BAR, state, stripes=stripes)


def _places(stretches: Sequence[Stretch], state: State, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the places of one state across, in whole steps, joined where they touch."""
    length = until_ms - since_ms
    found = sorted(
        (
            (each.since_ms - since_ms) * _FINEST // length,
            -(-(each.until_ms - since_ms) * _FINEST // length),
        )
        for each in stretches
        if each.state == state
    )
    start, stop = -1, -1
    for first, last in found:
        if first > stop:
            if stop > start:
                yield start, stop
            start = first
        stop = max(stop, last, first + 1)
    if stop > start:
        yield start, stop


def _sentence(lanes: Sequence[Lane], words: DrawingWords) -> str:
    said: list[str] = []
    for state in ("gap", "unknown"):
        found = [each for lane in lanes for each in lane.stretches if each.state == state]
        span = Span(sum(each.until_ms - each.since_ms for each in found))
        if found:
            said.append(words.text(f"console.draw.strip.says.{state}", count=len(found), span=span))
    return words.sentences(*said) or words.text("console.draw.strip.whole")


def _numbers(lanes: Sequence[Lane], words: DrawingWords) -> Numbers:
    """Return what is not known to be recorded, newest first."""
    columns = words.columns("lane", "state", "from", "to")
    found = [(each, lane.name) for lane in lanes for each in lane.stretches if each.state != "there"]
    newest = nlargest(MOST_ROWS, found, key=lambda pair: pair[0].since_ms)
    rows = [
        (
            lane,
            words.text(f"console.draw.strip.is.{each.state}"),
            _time(each.since_ms, words),
            _time(each.until_ms, words),
        )
        for each, lane in newest
    ]
    return Numbers(columns, rows, len(found) - len(rows))


def _time(at_ms: int, words: DrawingWords) -> str:
    return words.text("console.draw.moment", at=Moment(at_ms))
