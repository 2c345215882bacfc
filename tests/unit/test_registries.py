"""What is registered is complete: each kind of rule has all its texts, in each language."""

from pathlib import Path

import pytest

from bot.texts.catalog import LANGUAGES, Catalog
from bot.texts.rule_kinds import PAGES
from moderation.rules.registry import KINDS

CATALOG = Catalog.load()


def missing_texts(keys: tuple[str, ...]) -> list[str]:
    """Return the texts that are not there, such as ``zh: rule-kind.terms``."""
    return [f"{language}: {key}" for language in LANGUAGES for key in keys if key not in CATALOG.keys(language)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_rule_has_its_texts(kind: str) -> None:
    assert missing_texts(KINDS[kind].text_keys(kind)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_each_kind_of_rule(page: Path) -> None:
    written = page.read_text("utf-8")
    assert written == PAGES[page](written), "run: python -m bot.texts.rule_kinds"
