"""One sample of each drawing, as it looks in real life; the golden files are these. Open them in a browser."""

from markupsafe import Markup

from bot.console.draw.axes import DAY_MS
from bot.console.draw.course import Course, CourseMark, draw_course
from bot.console.draw.days import DayCounts, draw_days
from bot.console.draw.path import PathStep, draw_path
from bot.console.draw.strip import Lane, Stretch, draw_strip
from bot.console.draw.svg import DrawingWords
from bot.console.draw.week import draw_week
from bot.texts.catalog import Catalog

NOON = 1_795_953_600_000  # 2026-11-29, 12:00 UTC
TIERS = ((80, "A"), (60, "B"), (40, "C"), (20, "D"), (0, "E"))


def words(language: str = "en") -> DrawingWords:
    return DrawingWords(Catalog.load().with_clock(lambda: NOON), language)


def course(language: str) -> Markup:
    steps = [(NOON - 100 * DAY_MS, 75), (NOON - 40 * DAY_MS, 79), (NOON - 30 * DAY_MS, 29)]
    steps += [(NOON + 3 * n * DAY_MS, 29 + n) for n in range(1, 30)]
    marks = (
        CourseMark(NOON - 100 * DAY_MS, 75, "Case 8: No insults", "/case/8"),
        CourseMark(NOON - 30 * DAY_MS, 29, "Case 11: Ticket numbers stay out of this room", "/case/11"),
    )
    drawn = Course(NOON - 180 * DAY_MS, NOON, NOON + 90 * DAY_MS, 100, steps, marks, TIERS)
    return draw_course(drawn, "Credit of @finn:example.org", words(language))


def days(language: str) -> Markup:
    said = [(n * 37) % 211 for n in range(90)]
    broken = [(n * 7) % 5 if n % 9 == 0 else 0 for n in range(90)]
    first = NOON - NOON % DAY_MS - 89 * DAY_MS
    series = [DayCounts("Messages", said), DayCounts("Violations", broken, grave=True)]
    return draw_days(first, series, "A day in Reading circle", words(language))


def strip(language: str) -> Markup:
    since, hour = NOON - 30 * DAY_MS, 3_600_000
    gap = Stretch(since + 9 * DAY_MS, since + 9 * DAY_MS + 5 * hour, "gap")
    lanes = [
        Lane("Reading circle", [Stretch(since, NOON, "there"), gap]),
        Lane(
            "Garden",
            [Stretch(since + 2 * DAY_MS, since + 4 * DAY_MS, "unknown"), Stretch(since + 4 * DAY_MS, NOON, "there")],
        ),
    ]
    return draw_strip(since, NOON, lanes, "What is recorded", words(language))


def week(language: str) -> Markup:
    hours = [0 if hour < 7 else 1 if hour < 9 else 3 if hour < 17 else 2 for _ in range(5) for hour in range(24)]
    return draw_week([*hours, *([1] * 48)], "Duty in Reading circle", words(language))


def path(language: str) -> Markup:
    record, size, steps, start, stop = 391, 554, [], 391, 392
    for side, first, after in (
        ("left", 390, 391), ("left", 388, 390), ("right", 392, 400), ("left", 384, 388), ("right", 400, 416),
        ("right", 416, 448), ("right", 448, 512), ("left", 256, 384), ("left", 0, 256), ("right", 512, 554),
    ):  # fmt: skip
        steps.append(PathStep(side, first, after, f"{first:04x}" * 16))  # type: ignore[arg-type]
        start, stop = min(start, first), max(stop, after)
    return draw_path(record, size, "2e6f" * 16, steps, "d8df" * 16, "Proof of record 391", words(language))


SAMPLES = {"course": course, "days": days, "strip": strip, "week": week, "path": path}


def page(name: str, language: str) -> str:
    """Return a page with one drawing and the style sheet of the console."""
    css = "../../../../../../bot/console/static/console.css"
    head = f'<meta charset="utf-8"><title>{name}</title><link rel="stylesheet" href="{css}">'
    body = f"<main>\n{SAMPLES[name](language)}\n</main>"
    return f'<!DOCTYPE html>\n<html lang="{language}"><head>{head}</head><body>{body}</body></html>\n'


if __name__ == "__main__":
    from pathlib import Path

    for _name in SAMPLES:
        for _language in ("en", "zh"):
            (Path(__file__).parent / "golden" / f"{_name}.{_language}.html").write_text(page(_name, _language), "utf-8")
