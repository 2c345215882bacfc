"""The style sheet and the script of the console: small, from nowhere else, within its content security policy."""

import gzip
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[4] / "bot" / "console" / "static"
CSS = (STATIC / "console.css").read_text("utf-8")
JS = (STATIC / "console.js").read_text("utf-8")
HEAD, _, RULES = CSS.partition("*/")


@pytest.mark.parametrize(("text", "most"), [(CSS, 6_000), (JS, 3_000)])
def test_each_is_small_when_compressed(text: str, most: int) -> None:
    assert len(gzip.compress(text.encode())) <= most


def test_the_style_sheet_loads_nothing() -> None:
    assert re.findall(r"url\(|@import|@font-face|expression\(", CSS) == []


def test_the_head_of_the_style_sheet_names_every_class() -> None:
    drawn = set(re.findall(r"\.plot(?: a:hover)? \.([a-z][a-z0-9-]*)", RULES))
    selectors = " ".join(re.findall(r"([^{}]+)\{", RULES))
    used = set(re.findall(r"\.([a-z][a-z0-9-]*)", selectors)) - drawn
    assert used - set(re.findall(r"\.([a-z][a-z-]*)", HEAD)) == set()


def test_both_schemes_and_all_settings_of_people_are_served() -> None:
    for needed in (
        "color-scheme: light dark",
        "light-dark(",
        ":focus-visible",
        "(pointer: coarse)",
        "(prefers-reduced-motion: no-preference)",
        "(forced-colors: active)",
        "@media print",
    ):
        assert needed in CSS, needed


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(2 * sign for sign in colour[1:])
    parts = [int(full[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_and_borders_stand_out_as_wcag_asks(scheme: int) -> None:
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\)", CSS)
    colour = {name: pair[scheme] for name, *pair in found}
    for ground in ("paper", "panel", "pale"):
        for words in ("ink", "grey", "green", "moderate", "serious", "severe"):
            assert _contrast(colour[words], colour[ground]) >= 4.5, (words, ground)
    assert _contrast(colour["on-green"], colour["green"]) >= 4.5
    assert _contrast(colour["edge"], colour["panel"]) >= 3
    assert _contrast(colour["edge"], colour["paper"]) >= 3


def test_the_script_makes_no_markup_and_asks_nothing_of_the_network() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|setAttribute|\.src|\.style"
    assert re.findall(rf"{markup}|fetch|XMLHttp|cookie|Storage|import", JS) == []
