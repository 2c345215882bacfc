"""Points over time: what was as a line, what is to come dashed, with a mark for each case that cost points.

Rules kept here:
- The course is drawn in steps, as points are counted; a step too narrow to be seen is joined with the next, and the
  lowest value stays.
- A mark links to its case. Marks too near each other to be told apart are one; the table has every one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from .axes import day_name, span_of, time_axis
from .svg import ACROSS, MOST_ROWS, DrawingWords, Numbers, cut, drawing, share, stretched, stroke, tag, words_at

HEIGHT = 160
_APART = 28  # marks at most across the drawing


@dataclass(frozen=True, slots=True)
class CourseMark:
    """A moment at which points were lost: how many are left, in words why, and the page about it ("": none)."""

    at_ms: int
    left: int
    name: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """Points from `since_ms` to `until_ms`: each step is a time and the points from then on, in order.

    `tiers` are lower bounds with their names, highest first; the last reaches down to 0.
    """

    since_ms: int
    now_ms: int
    until_ms: int
    top: int
    steps: Sequence[tuple[int, int]]
    marks: Sequence[CourseMark] = ()
    tiers: Sequence[tuple[int, str]] = ()

    def points(self, at_ms: int) -> int:
        """Return the points at a time."""
        return next((points for start_ms, points in reversed(self.steps) if start_ms <= at_ms), self.top)


def draw_course(course: Course, title: str, words: DrawingWords, name: str = "course") -> Markup:
    """Draw the points of one person."""
    since, until = span_of(course.since_ms, course.until_ms)
    now = share(course.now_ms - since, until - since)
    past = [each for each in course.steps if each[0] <= course.now_ms]
    coming = [(course.now_ms, course.points(course.now_ms)), *(e for e in course.steps if e[0] > course.now_ms)]
    return drawing(
        name,
        title,
        _sentence(course, words),
        _numbers(course, words),
        words,
        *_tiers(course),
        *time_axis(since, until, HEIGHT, words),
        stretched(
            stroke(_path([(since, course.points(since)), *past], since, until, course.now_ms, course.top), "line"),
            stroke(_path(coming, since, until, until, course.top), "line", dashes="4 4"),
            height=HEIGHT,
        ),
        tag("line", x1=now, x2=now, y1=0, y2=HEIGHT, class_="now", stroke="currentColor", stroke_dasharray="2 3"),
        *_marks(course, since, until, words),
        height=HEIGHT,
        links=any(_links(mark) for mark in course.marks if since <= mark.at_ms <= until),
    )


def _height(points: int, top: int) -> float:
    return HEIGHT * (1 - min(max(points, 0) / max(top, 1), 1.0))


def _path(steps: Sequence[tuple[int, int]], since_ms: int, until_ms: int, end_ms: int, top: int) -> str:
    """Write steps as a path; those at one place across are one, at their lowest."""

    def across(at_ms: int) -> int:
        return round(ACROSS * min(max((at_ms - since_ms) / (until_ms - since_ms), 0), 1))

    written: list[str] = []
    for x, together in groupby(steps, key=lambda step: across(step[0])):
        points = [each for _, each in together]
        for y in dict.fromkeys((min(points), points[-1])):
            at = round(_height(y, top), 1)
            written.append(f"H{x}V{at:g}" if written else f"M{x} {at:g}")
    return "".join((*written, f"H{across(end_ms)}")) if written else ""


def _tiers(course: Course) -> Iterator[Markup]:
    """Draw the tiers as bands behind the course, with the bound on the left and the name on the right."""
    above = 0.0
    bounds = [*course.tiers[:-1], (0, course.tiers[-1][1])] if course.tiers else []
    for bound, tier in bounds:
        below = _height(bound, course.top)
        kind = f"tier tier-{tier.lower()}" if tier in ("A", "D", "E") else "tier"
        yield tag("rect", x=0, y=above, width="100%", height=below - above, class_=kind, fill="none")
        if below - above >= 10:
            yield words_at("100%", (above + below) / 2 + 4, tier)
        above = below
    labelled = [course.top, *(bound for bound, _ in bounds), 0]
    last = -20.0
    for bound in dict.fromkeys(labelled):
        at = _height(bound, course.top)
        if at - last >= 12:
            yield words_at(-6, at + 4, str(bound), "end")
            last = at


def _marks(course: Course, since_ms: int, until_ms: int, words: DrawingWords) -> Iterator[Markup]:
    seen = [mark for mark in course.marks if since_ms <= mark.at_ms <= until_ms]
    ordered = sorted(seen, key=lambda mark: mark.at_ms)
    for _, near in groupby(ordered, key=lambda mark: (mark.at_ms - since_ms) * _APART // (until_ms - since_ms)):
        together = list(near)
        mark = together[-1]
        x, y = share(mark.at_ms - since_ms, until_ms - since_ms), _height(mark.left, course.top)
        rest = len(together) - 1
        label = f"{mark.name}, {day_name(mark.at_ms, words)}"
        label = words.text("console.draw.course.several", label=label, count=rest) if rest else label
        area = tag("circle", cx=x, cy=y, r=12, fill="none", pointer_events="all")
        circle = tag("circle", cx=x, cy=y, r=5, class_="mark", fill="none", stroke="currentColor")
        yield tag("a", area, circle, href=mark.href, aria_label=cut(label)) if _links(mark) else circle


def _named(mark: CourseMark) -> str:
    """Return why points were lost, with a link to the page about it."""
    return tag("a", cut(mark.name), href=mark.href) if _links(mark) else mark.name


def _links(mark: CourseMark) -> bool:
    return mark.href.startswith("/") and not mark.href.startswith("//")


def _sentence(course: Course, words: DrawingWords) -> str:
    """Say what the drawing shows."""
    now = course.points(course.now_ms)
    past = [points for at_ms, points in course.steps if course.since_ms <= at_ms <= course.now_ms]
    least, end = min((*past, now)), course.points(course.until_ms)
    said = [words.text("console.draw.course.now", points=now, top=course.top)]
    if least < now:
        said.append(words.text("console.draw.course.least", least=least))
    if end != now:
        said.append(words.text("console.draw.course.coming", points=end, day=day_name(course.until_ms, words)))
    return words.sentences(*said)


def _numbers(course: Course, words: DrawingWords) -> Numbers:
    columns = words.columns("day", "what", "left")
    newest = sorted(course.marks, key=lambda mark: -mark.at_ms)
    marks = newest[: MOST_ROWS - 1]
    rows = [(day_name(mark.at_ms, words), _named(mark), mark.left) for mark in marks]
    today = (day_name(course.now_ms, words), words.text("console.draw.course.today"), course.points(course.now_ms))
    return Numbers(columns, [today, *rows], len(newest) - len(marks))
