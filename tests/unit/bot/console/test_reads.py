"""The page of who read what has a word for each kind of reading."""

import ast
from collections.abc import Iterator

import pytest

from bot.texts.catalog import Catalog
from moderation.values.access_reasons import GLANCES
from tests.sources import Sources

CALLS = {"note_look": 1, "glance": 1, "looked_at": 2, "_note": 1}  # which argument names the kind


def looks(sources: Sources) -> Iterator[str]:
    """Yield the kinds of reading that commands and pages note."""
    for node in (call for source in sources if source.name.startswith("bot/") for call in source.each(ast.Call)):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        kind = node.args[CALLS[name] :][:1] if name in CALLS else []
        yield from (each.value for each in kind if isinstance(each, ast.Constant) and isinstance(each.value, str))
        if name == "given":
            named = (each.value for each in node.keywords if each.arg == "what")
            yield from (str(each.value) for each in named if isinstance(each, ast.Constant))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_kind_of_reading_has_a_word(language: str, sources: Sources) -> None:
    kinds = {*looks(sources), *GLANCES}
    assert {"rules", "lists", "case", "search", "history"} <= kinds
    words = Catalog.load().keys(language)
    assert {kind for kind in kinds if f"console.reads.kind.{kind}" not in words} == set()
