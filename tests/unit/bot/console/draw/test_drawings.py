"""Drawings are well-formed for any value, say their numbers in words, and fit the console's content security policy."""

import gzip
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from bot.console.draw.axes import DAY_MS, amounts, days_between
from bot.console.draw.course import Course, CourseMark, draw_course
from bot.console.draw.days import DayCounts, draw_days
from bot.console.draw.path import PathStep, draw_path
from bot.console.draw.strip import Lane, Stretch, draw_strip
from bot.console.draw.svg import tag
from bot.console.draw.week import draw_week
from tests.examples import tried

from .samples import NOON, SAMPLES, page, words

GOLDEN = Path(__file__).parent / "golden"
CSS = (Path(__file__).parents[5] / "bot" / "console" / "static" / "console.css").read_text("utf-8")
SVG = "{http://www.w3.org/2000/svg}"
NAMES = """svg title desc defs pattern path line rect circle text a
figure figcaption details summary div table caption thead tbody tr th td p"""
OF_THEM = """id class role aria-label aria-labelledby aria-describedby tabindex scope href x y x1 x2 y1 y2 cx cy r d
width height viewBox preserveAspectRatio fill stroke stroke-dasharray vector-effect text-anchor pointer-events
patternUnits"""
ELEMENTS, ATTRIBUTES = frozenset(NAMES.split()), frozenset(OF_THEM.split())
MOST_BYTES = 100_000  # of any drawing whatever

times = st.integers(-(10**18), 10**18) | st.integers(NOON - 400 * DAY_MS, NOON + 400 * DAY_MS)
counts = st.integers(-(10**15), 10**15) | st.integers(0, 9)
texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    [
        "</svg><script>alert(1)</script>",
        '" onload="x',
        "javascript:alert(1)",
        "{{7*7}}",
        "\u202egnp",
        "\0",
        "x" * 60_000,
    ]
)
few = settings(max_examples=tried(50))
languages = st.sampled_from(["en", "zh"])


def checked(drawing: Markup) -> ET.Element:
    """Return the tree of a drawing that has nothing but what is allowed."""
    assert len(drawing.encode()) <= MOST_BYTES
    tree = ET.fromstring(drawing)
    for element in tree.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        assert re.fullmatch(r"/(?!/).*", element.get("href", "/"), re.DOTALL)
        for name in set(element.get("class", "").split()):
            assert f".{name}" in CSS, name
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(names) == len(set(names))
    plot = tree.find(f"{SVG}svg")
    assert plot is not None
    titles = {plot[0].tag: plot[0].text, plot[1].tag: plot[1].text}
    assert titles.keys() == {f"{SVG}title", f"{SVG}desc"} and titles[f"{SVG}desc"]
    assert plot.get("role") == ("group" if plot.findall(f".//{SVG}a") else "img")
    return tree


def checked_bytes(drawing: Markup) -> bytes:
    checked(drawing)
    return drawing.encode()


def cells(tree: ET.Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_as_in_its_golden_file(name: str, language: str) -> None:
    """After a change: `python -m tests.unit.bot.console.draw.samples`, then look at the files in a browser."""
    assert page(name, language) == (GOLDEN / f"{name}.{language}.html").read_text("utf-8")
    assert len(gzip.compress(checked_bytes(SAMPLES[name](language)))) <= 3_000


marks = st.builds(CourseMark, times, counts, texts, st.just("") | texts)
courses = st.builds(
    Course,
    times,
    times,
    times,
    counts,
    st.lists(st.tuples(times, counts)).map(sorted),
    st.lists(marks),
    st.lists(st.tuples(counts, texts), max_size=6),
)


@few
@given(courses, texts, languages)
def test_any_course_is_drawn(course: Course, title: str, language: str) -> None:
    checked(draw_course(course, title, words(language)))


@few
@given(times, st.lists(st.builds(DayCounts, texts, st.lists(counts), st.booleans()), max_size=4), texts, languages)
def test_any_days_are_drawn(first_ms: int, series: list[DayCounts], title: str, language: str) -> None:
    checked(draw_days(first_ms, series, title, words(language)))


stretches = st.builds(Stretch, times, times, st.sampled_from(["there", "gap", "unknown"]))


@few
@given(times, times, st.lists(st.builds(Lane, texts, st.lists(stretches)), max_size=5), texts, languages)
def test_any_strip_is_drawn(since: int, until: int, lanes: list[Lane], title: str, language: str) -> None:
    checked(draw_strip(since, until, lanes, title, words(language)))


@few
@given(st.lists(counts, max_size=200), texts, languages)
def test_any_week_is_drawn(hours: list[int], title: str, language: str) -> None:
    checked(draw_week(hours, title, words(language)))


steps = st.builds(PathStep, st.sampled_from(["left", "right"]), counts, counts, texts)


@few
@given(counts, counts, texts, st.lists(steps, max_size=64), texts, languages)
def test_any_path_is_drawn(record: int, size: int, leaf: str, path: list[PathStep], root: str, language: str) -> None:
    checked(draw_path(record, size, leaf, path, root, "A proof", words(language)))


def test_thousands_of_values_are_one_drawing_of_bounded_size() -> None:
    many = [CourseMark(NOON - n * 1_000_000, n % 100, f"Case {n}", f"/case/{n}") for n in range(9_000)]
    falls = [(NOON - n * 1_000_000, n * 37 % 100) for n in reversed(range(9_000))]
    course = Course(NOON - 180 * DAY_MS, NOON, NOON + DAY_MS, 100, falls, many)
    gaps = [Stretch(NOON - n * 3_600_000, NOON - n * 3_600_000 + 60_000, "gap") for n in range(9_000)]
    for drawn in (
        draw_course(course, "Credit", words()),
        draw_days(NOON - 9_000 * DAY_MS, [DayCounts("Messages", list(range(9_000)))], "Days", words()),
        draw_strip(NOON - 375 * DAY_MS, NOON, [Lane("Room", gaps)] * 100, "Coverage", words()),
    ):
        assert len(gzip.compress(checked_bytes(drawn))) <= 8_000


class TestTextAlternatives:
    def test_a_course_says_its_points(self) -> None:
        tree = checked(SAMPLES["course"]("en"))
        assert tree.findtext("figcaption") == "29 of 100 points now. If nothing more is charged, 58 on 27 Feb 2027."
        assert cells(tree) == [
            ["29 Nov 2026", "Today", "29"],
            ["30 Oct 2026", "Case 11: Ticket numbers stay out of this room", "29"],
            ["21 Aug 2026", "Case 8: No insults", "75"],
        ]

    def test_a_mark_links_to_its_case_by_a_name(self) -> None:
        links = {a.get("href"): a.get("aria-label") for a in checked(SAMPLES["course"]("en")).iter(f"{SVG}a")}
        assert links == {
            "/case/8": "Case 8: No insults, 21 Aug 2026",
            "/case/11": "Case 11: Ticket numbers stay out of this room, 30 Oct 2026",
        }

    def test_every_case_is_linked_in_the_table(self) -> None:
        tree = checked(SAMPLES["course"]("en"))
        assert [a.get("href") for a in tree.iterfind(".//tbody//a")] == ["/case/11", "/case/8"]

    def test_a_course_without_tiers_has_its_highest_and_its_lowest_amount(self) -> None:
        tree = checked(draw_course(Course(NOON - DAY_MS, NOON, NOON + DAY_MS, 100, [(NOON, 40)]), "Standing", words()))
        labels = [text.text for text in tree.iter(f"{SVG}text")]
        assert (labels[:2], tree.findtext("figcaption")) == (["100", "0"], "40 of 100 points now.")

    def test_days_say_the_sum_and_the_highest(self) -> None:
        series = [DayCounts("Messages", [2, 0, 5]), DayCounts("Violations", [])]
        tree = checked(draw_days(NOON - NOON % DAY_MS, series, "Days", words()))
        assert tree.findtext("figcaption") == "Messages: 7 in all, at most 5 a day (1 Dec 2026). Violations: nothing."
        assert cells(tree) == [["1 Dec 2026", "5", "0"], ["29 Nov 2026", "2", "0"]]

    def test_a_strip_says_what_is_not_recorded(self) -> None:
        tree = checked(SAMPLES["strip"]("en"))
        said = "Gaps: 1, 5 hours in all. Times not known to be recorded: 1, 2 days in all."
        assert tree.findtext("figcaption") == said
        assert cells(tree)[0] == ["Reading circle", "Not recorded", "8 Nov, 12:00 UTC", "8 Nov, 17:00 UTC"]

    def test_a_gap_of_a_second_in_a_year_is_seen(self) -> None:
        gap = Stretch(NOON - DAY_MS, NOON - DAY_MS + 1_000, "gap")
        lane = Lane("Room", [Stretch(NOON - 365 * DAY_MS, NOON, "there"), gap])
        tree = checked(draw_strip(NOON - 365 * DAY_MS, NOON, [lane], "Coverage", words()))
        rects = [rect for rect in tree.iter(f"{SVG}rect") if rect.get("class") == "gap"]
        assert [rect.get("width") for rect in rects] == ["0.25%"]

    def test_a_week_says_when_nobody_is_on_duty_not_by_colour_alone(self) -> None:
        tree = checked(SAMPLES["week"]("en"))
        assert tree.findtext("figcaption") == "Nobody is on duty in 35 of the 168 hours of a week. These are striped."
        assert cells(tree)[0] == ["Monday", "00:00", "07:00", "0"]
        striped = [rect for rect in tree.iter(f"{SVG}rect") if rect.get("fill") == "url(#week-stripes)"]
        assert (len(striped), [text.text for text in tree.iter(f"{SVG}text")].count("0")) == (5, 5)

    def test_a_path_gives_whole_hashes_from_the_record_up(self) -> None:
        rows = cells(checked(SAMPLES["path"]("en")))
        assert (rows[0], rows[1], len(rows)) == (["–", "this record", "2e6f" * 16], ["390", "Left", "0186" * 16], 12)


def test_amounts_are_nice() -> None:
    assert [amounts(each) for each in (0, 1, 3, 7, 211, 1_000_000)] == [
        [0, 1],
        [0, 1],
        [0, 1, 2, 3],
        [0, 2, 4, 6, 8],
        [0, 100, 200, 300],
        [0, 500_000, 1_000_000],
    ]


@given(st.integers(-5, 10**15), st.integers(1, 9))
def test_amounts_reach_the_highest_in_few_steps(highest: int, most: int) -> None:
    found = amounts(highest, most)
    assert found[-1] >= highest
    assert found[0] == 0
    assert 2 <= len(found) <= most + 1


@given(times, times)
def test_days_are_marked_within_the_time(since: int, until: int) -> None:
    found = days_between(since, until)
    assert len(found) <= 12
    assert all(since <= at_ms <= until for at_ms, _ in found)


def test_a_drawing_has_a_name_of_its_own_in_letters() -> None:
    with pytest.raises(ValueError, match="not the name"):
        draw_week([], "Duty", words(), name='x" onload="')


def test_an_element_escapes_what_is_not_markup() -> None:
    assert tag("p", "<b>\u202e", Markup("<b></b>"), title='"&') == '<p title="&#34;&amp;">&lt;b&gt;U+202E<b></b></p>'
