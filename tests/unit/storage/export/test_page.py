"""The page of an export: anything that people wrote is only text, and the page has no active content."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.catalog_words import CatalogWords
from moderation.policy import GRADES
from moderation.values.events import Json
from storage.export.choose import NamedRoom
from storage.export.page import MAX_CASES, About, Cases, page
from storage.export.selection import Selection
from storage.journal.record_kinds.table import KINDS

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></body><iframe src=//evil>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "&lt;b&gt; &amp; &#60;",
    "\u202egnp.exe \u2066x\u200b",
    "{x} {0} %s `code`",
    "]]><!--",
)
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "table", "tr", "th", "td", "section",
    "article", "div", "span", "b", "bdi", "br",
}  # fmt: skip


class Reader(HTMLParser):
    """Parses the page as a browser would."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert {tag for tag, _ in reader.tags} <= ALLOWED
    for tag, attributes in reader.tags:
        assert attributes.keys() <= {"class", "lang", "dir", "scope", "charset", "name", "content", "http-equiv"}, tag
    return reader


def about(text: str = "", rooms: dict[str, NamedRoom] | None = None) -> About:
    return About(
        origin="example.org/log", size=9, vkey="k", made_at_ms=0, by=text, reason=text, asked={"persons": [text]},
        records=1, supporting=frozenset(), rooms=rooms or {"G-7F3K": NamedRoom(text, text)}, rules={text: {"en": text}},
    )  # fmt: skip


def line(text: str) -> tuple[dict[str, Json], list[Json]]:
    """Return a record with this text in every field that can contain people's text."""
    skeleton: dict[str, Json] = {
        "i": 5,
        "t": "2026-11-24T12:00:00.000Z",
        "k": "case",
        "g": "G-7F3K",
        "p": [],
        "c": [],
        "n": 1,
        "step": "opened",
        "rule": text,
        "why": text,
    }
    keys = ("mxid", "body", "reason", "excerpt", "matched", "words", "detail", "as", "ev", "content")
    return skeleton, [dict.fromkeys(keys, text), text, {"erased": text, "by": 3}, {text: {text: [text]}}]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_that_people_wrote_becomes_markup(text: str, language: str) -> None:
    check(text, language)


@given(st.text(max_size=20))
def test_no_text_at_all_does(text: str) -> None:
    check(text, "en")


def check(text: str, language: str) -> None:
    cases = Cases()
    cases.note(line(text))
    html = "".join(page(CatalogWords(language), about(text), cases, [line(text)]))
    calm = "".join(page(CatalogWords(language), about("x"), Cases(), []))
    reader, still = read(html), read(calm)
    assert [tag for tag, _ in reader.tags[:12]] == [tag for tag, _ in still.tags[:12]]
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\x00-\x08]", html)
    html.encode()


def test_hidden_characters_are_made_visible() -> None:
    html = "".join(page(CatalogWords("en"), about("a\u202eb"), Cases(), []))
    assert 'a<span class="char">U+202E</span>b' in html


def test_the_policy_forbids_everything_but_the_one_style(whole: Path, tools: Any) -> None:
    html = tools.text(whole, "index.html")
    reader = read(html)
    (policy,) = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    style = re.search("<style>(.*?)</style>", html, re.S)
    assert style and policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert html.index("Content-Security-Policy") < html.index("<style>") < html.index("<body>")
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "@page" in style[1]
    assert "break-before" in style[1]


def test_tells_who_when_what_by_which_rule_and_why(story: Any, tools: Any) -> None:
    out = story.export(Selection(cases=frozenset({1})))
    words = " ".join(read(tools.text(out, "index.html")).words)
    words = re.sub(r"\s+", " ", words)
    for expected in (
        "Case 1", "no-coins", "Do not sell <coins>.", "serious", "@ben:example.org", "@anna:example.org", "rule broken",
        "muted", "+1 day", "2026-11-25 12:00 UTC", "Points: 25", "Credit left: 75", "case 12", "buy coins",
        "!garden:example.org", "Left out: concerns another person or matter.",
    ):  # fmt: skip
        assert expected in words, expected


def test_chinese(story: Any, tools: Any) -> None:
    out = story.export(Selection(cases=frozenset({1})), words=tools.words("zh"))
    words = " ".join(read(tools.text(out, "index.html")).words)
    for expected in ("个案 1", "不得卖币。", "严重", "违规", "禁言"):
        assert expected in words


def test_of_a_person_shows_nothing_of_others(story: Any, tools: Any) -> None:
    out = story.export(Selection(persons=frozenset({tools.ben})))
    html = tools.text(out, "index.html")
    assert "anna" not in html
    assert "cleo" not in html


def test_names_only_the_groups_its_records_are_of(story: Any, tools: Any) -> None:
    html = tools.text(story.export(Selection(cases=frozenset({1}))), "index.html")
    assert "!garden:example.org" in html
    assert "!kitchen" not in html


def test_with_very_many_cases_leaves_the_summaries_out() -> None:
    cases = Cases()
    for n in range(MAX_CASES + 50):
        skeleton, parts = line("x")
        cases.note(({**skeleton, "n": n + 1}, parts))
    assert len(cases.files) == MAX_CASES + 1
    assert "too many cases" in "".join(page(CatalogWords("en"), about(), cases, []))


def test_every_kind_and_class_has_its_word() -> None:
    keys = Catalog.load().keys("en")
    assert {key.removeprefix("export.kind.") for key in keys if key.startswith("export.kind.")} == set(KINDS)
    assert {f"export.word.{grade}" for grade in GRADES} <= keys
    fields = {name for kind in KINDS.values() for name in kind.fields}
    assert {key.removeprefix("export.field.") for key in keys if key.startswith("export.field.")} <= fields
