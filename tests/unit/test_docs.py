"""The documentation agrees with the code that it shows, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from moderation.cases.lifecycle import diagram

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "responsibility.md"


def test_the_diagram_of_cases_is_made_from_their_table() -> None:
    shown = re.search(r"```mermaid\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1] == diagram(), "put what `python -m moderation.cases.lifecycle` prints into docs/responsibility.md"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[^`]+\.py)`", PAGE.read_text("utf-8")))))
def test_the_tests_that_show_a_duty_are_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
