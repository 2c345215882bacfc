"""Small bar charts of what is counted a day, one under the other, over the same days."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from markupsafe import Markup

from .axes import DAY_MS, amounts, day_name, span_of, time_axis
from .svg import ACROSS, MOST_ROWS, DrawingWords, Numbers, cut, drawing, stretched, tag, words_at

HEIGHT, BETWEEN = 60, 26
_MOST_BARS = 400  # across: more days than that are joined, each bar at its highest


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Counts, one number a day; `grave`: drawn as something that needs a look."""

    name: str
    counts: Sequence[int]
    grave: bool = False


def draw_days(first_ms: int, series: Sequence[DayCounts], title: str, words: DrawingWords) -> Markup:
    """Draw what was counted on the days from `first_ms` (a midnight of UTC) on."""
    days = max((len(each.counts) for each in series), default=0)
    since, until = span_of(first_ms, first_ms + max(days, 1) * DAY_MS)
    height = max(len(series), 1) * (HEIGHT + BETWEEN)
    return drawing(
        "days",
        title,
        _sentence(first_ms, series, words),
        _numbers(first_ms, series, words),
        words,
        *time_axis(since, until, height, words),
        *(
            part
            for place, each in enumerate(series)
            for part in _chart(each, days, place * (HEIGHT + BETWEEN) + BETWEEN)
        ),
        height=height,
    )


def _chart(series: DayCounts, days: int, top: float) -> Iterator[Markup]:
    """Draw one chart with its name above it and its axis on the left."""
    ticks = amounts(max((0, *series.counts)), most=5)
    yield words_at(0, top - 8, series.name, class_="count-of")
    for tick in (ticks[0], ticks[-1]):
        y = top + HEIGHT * (1 - tick / ticks[-1])
        yield tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid", stroke="currentColor")
        yield words_at(-6, y + 4, _short(tick), "end")
    bars = tag("path", d=_bars(series.counts, days, ticks[-1]), class_="bar-of grave" if series.grave else "bar-of")
    yield stretched(bars, height=HEIGHT, top=top)


def _bars(counts: Sequence[int], days: int, highest: int) -> str:
    """Write bars as a path. A day with anything at all has a bar that can be seen."""
    joined = max(-(-days // _MOST_BARS), 1)
    width = ACROSS * joined / max(days, 1)
    wide = f"{width * 0.8:.1f}"
    drawn = []
    for place in range(0, len(counts), joined):
        count = max(counts[place : place + joined])
        if count > 0:
            tall = max(HEIGHT * count / highest, 1.5)
            x = (place // joined + 0.1) * width
            drawn.append(f"M{x:.1f} {HEIGHT}v-{tall:.1f}h{wide}V{HEIGHT}z")
    return "".join(drawn)


def _short(amount: int) -> str:
    """Write an amount in the few letters that there is room for."""
    for size, sign in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if amount >= 10 * size or (amount >= size and amount % size == 0):
            return f"{amount // size}{sign}"
    return str(amount)


def _sentence(first_ms: int, series: Sequence[DayCounts], words: DrawingWords) -> str:
    return words.sentences(*(_said(first_ms, each, words) for each in series)) or words.text(
        "console.draw.days.nothing"
    )


def _said(first_ms: int, series: DayCounts, words: DrawingWords) -> str:
    most = max((0, *series.counts))
    if not most:
        return words.text("console.draw.days.none", name=cut(series.name))
    day = day_name(first_ms + series.counts.index(most) * DAY_MS, words)
    whole = sum(max(each, 0) for each in series.counts)
    return words.text("console.draw.days.says", name=cut(series.name), sum=whole, most=most, day=day)


def _numbers(first_ms: int, series: Sequence[DayCounts], words: DrawingWords) -> Numbers:
    """Return the days on which there was anything, newest first."""
    columns = [*words.columns("day"), *(each.name for each in series)]
    counted: list[tuple[int, ...]] = list(zip_longest(*(each.counts for each in series), fillvalue=0))
    found = [place for place in reversed(range(len(counted))) if any(counted[place])]
    rows: list[tuple[str | int, ...]] = [
        (day_name(first_ms + place * DAY_MS, words), *counted[place]) for place in found[:MOST_ROWS]
    ]
    return Numbers(columns, rows, len(found) - len(rows))
