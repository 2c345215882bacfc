"""Words and names of other people, as a card shows them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts.catalog import Catalog, Rendered, ShownPerson
from bot.texts.others_words import LONGEST_NAME, name_of, parts
from moderation.values.notices import Link, Quoted

CATALOG = Catalog({"en": {"said": "{x}", "bold": "**Case {x}** `!why`"}, "zh": {}})
USER = "@ann:example.org"
LINK = re.compile(r"[a-z][a-z0-9+.-]*://|\w\.[a-z]{2,}|[@#!][^\s:]+:\w", re.IGNORECASE)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("see https://evil.example/a?b=1.5 now", "see https[:]//evil[.]example/a?b=1.5 now"),
        ("https:\u200b//evil\u200b.example", "https[:]//evil[.]example"),
        ("evil.example is down. Really", "evil[.]example is down. Really"),
        ("mail ann@evil.example", "mail ann@evil[.]example"),
        ("#room:localhost and @ann:example.org", "#room[:]localhost and @ann[:]example[.]org"),
        ("matrix:r/room:example.org", "matrix[:]r/room:example[.]org"),
        ("evil\u3002example", "evil[\u3002]example"),
        ("at 13:40, 2.5 l: fine", "at 13:40, 2.5 l: fine"),
    ],
)
def test_a_link_in_quoted_words_is_no_link(words: str, shown: str) -> None:
    assert "".join(parts(Quoted(words))) == shown


@given(st.text(st.sampled_from("abz.:/@# \u200b\u202e\n"), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_of_no_words_a_link_is_left_wherever_the_mark_stands(words: str, start: int, end: int) -> None:
    shown = CATALOG.render("en", "said", x=Quoted(words, min(start, end), max(start, end)))
    assert not LINK.search(shown.plain.replace("«", "").replace("»", ""))


def test_what_the_rule_found_is_marked_in_text_and_html() -> None:
    words = Quoted("a <b>\u200bvolcano</b>", 6, 13)
    assert CATALOG.render("en", "said", x=words) == Rendered(
        "a <b>«volcano»</b>", "a &lt;b&gt;<strong>volcano</strong>&lt;/b&gt;"
    )


def test_a_mark_inside_a_link_leaves_no_link() -> None:
    assert CATALOG.render("en", "said", x=Quoted("https://evil.example", 8, 12)).plain == "https[:]//«evil»[.]example"


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ("Anna", f"Anna ({USER})"),
        ("", USER),
        ("@owner:example.org", USER),
        ("Olga (@olga:example.org)", USER),
        ("Ann · 100/100 points", f"Ann 100/100 points ({USER})"),
        ("a\u202eb\nc", f"ab c ({USER})"),
        ("evil.example", f"evil[.]example ({USER})"),
        ("n" * 60, f"{'n' * LONGEST_NAME} ({USER})"),
        ("z" + "\u0315" * 30, f"z\u0315\u0315 ({USER})"),
        ("\u05d0\u05e0", f"\u2068\u05d0\u05e0\u2069 ({USER})"),
    ],
)
def test_a_name_stands_before_the_id_and_cannot_be_taken_for_one(chosen: str, shown: str) -> None:
    assert CATALOG.text("en", "said", x=ShownPerson(USER, chosen)) == shown


def test_a_name_is_a_link_with_the_id_behind_it_and_never_markup() -> None:
    assert CATALOG.render("en", "said", x=ShownPerson(USER, "<b>Ann</b> @room")).html == (
        f'<a href="https://matrix.to/#/{USER}">{USER}</a>'
    )
    assert CATALOG.render("en", "said", x=ShownPerson(USER, "<b>Ann</b>")).html == (
        f'<a href="https://matrix.to/#/{USER}">&lt;b&gt;Ann&lt;/b&gt;</a> ({USER})'
    )


@given(st.text())
def test_no_name_is_longer_than_a_line_or_holds_an_id(chosen: str) -> None:
    shown = name_of(chosen)
    assert "@" not in shown and "\n" not in shown and len(shown) <= 3 * LONGEST_NAME


def test_bold_and_links_of_ours() -> None:
    assert CATALOG.render("en", "bold", x="**1**") == Rendered(
        "Case **1** !why", "<strong>Case **1**</strong> <code>!why</code>"
    )
    assert CATALOG.render("en", "said", x=Link("https://matrix.to/#/!r:x?a&b")) == Rendered(
        "https://matrix.to/#/!r:x?a&b",
        '<a href="https://matrix.to/#/!r:x?a&amp;b">https://matrix.to/#/!r:x?a&amp;b</a>',
    )
