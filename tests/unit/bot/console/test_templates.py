"""Values in templates: as text between tags, and whole in an attribute."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from bot.console.render import TEMPLATES, environment

ATTRIBUTE = re.compile(r'\bvalue="([^"{]*\{\{.*?\}\}[^"]*)"')
# Values of ours: languages, days, codes of groups, words of the program, numbers of cases and records.
OURS = {"other", "until", "since", "code", "each.code", "topic", "kind", "job.done"}
OURS |= {
    '"comment" if may_comment else "note"',
    "other.n",
    "seen",
    "deciding.seen",
    "pressed.seen[case.n]",
    "pressed.seen[other.n]",
}
HOSTILE = ("\u202e", "\ud800", "\0", '"><script>alert(1)</script>', "' onfocus='x", "{{7*7}}", "&amp;", "\u200b" * 9)


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_what_somebody_typed_stands_in_an_attribute_as_such(path: Any) -> None:
    found = ATTRIBUTE.findall(path.read_text("utf-8"))
    inside = {each.strip() for value in found for each in re.findall(r"\{\{(.*?)\}\}", value)}
    assert {each for each in inside if not each.endswith("|typed")} <= OURS


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("words", HOSTILE, ids=ascii)
def test_no_value_leaves_its_attribute_or_makes_an_element(words: str) -> None:
    template = environment().from_string('<input value="{{ words|typed }}"><p>{{ words }}</p>')
    found = Elements(template.render(words=words)).found
    assert [tag for tag, _ in found if tag != "span"] == ["input", "p"]
    assert found[0][1] == {"value": words.encode("utf-8", "replace").decode()}
