"""An error of RE2 becomes a fault in our words, with its place; nobody reads the words of RE2."""

from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.config.rule_checks import checked_rule
from bot.texts.catalog import LANGUAGES, Catalog
from moderation.rules.pattern import PatternSettings
from moderation.rules.pattern_faults import fault_of


def fault(pattern: str) -> tuple[str, str, int] | None:
    try:
        PatternSettings(patterns=(pattern,))
    except ValidationError as error:
        found = error.errors()[0]
        context: dict[str, Any] = found.get("ctx", {})
        return found["type"].removeprefix("pattern_"), context.get("piece", ""), context.get("at", 0)
    return None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a(b", ("group_open", "(", 2)),
        (r"\((a[(]b", ("group_open", "(", 3)),
        ("((a)", ("group_open", "(", 1)),
        ("a)b", ("group_closed", ")", 2)),
        (r"(a)\))", ("group_closed", ")", 6)),
        ("x[]a", ("class_open", "[]a", 2)),
        ("x[z-a]", ("class", "z-a", 3)),
        ("abc\\", ("backslash", "\\", 4)),
        (r"a\Zb", ("escape", r"\Z", 2)),
        (r"(a)\1", ("back_reference", r"\1", 4)),
        ("a|*b", ("repeats_nothing", "*", 3)),
        ("a**", ("repeats_twice", "**", 2)),
        ("a{2000}", ("repeats_often", "{2000}", 2)),
        ("ab(?=c)", ("operator", "(?=", 3)),
        ("(?P<n", ("operator", "(?P<n", 1)),
        ("a*", ("empty", "", 0)),
        ("\ud800", ("string_unicode", "", 0)),
        ("[0-9]{9}", None),
    ],
)
def test_a_fault_has_its_kind_and_place(pattern: str, expected: tuple[str, str, int] | None) -> None:
    assert fault(pattern) == expected


@given(st.text(alphabet="ab(){}[]^\\*+?|.,-:=!<P>129", min_size=1, max_size=12))
def test_any_wrong_pattern_is_explained_in_our_words(pattern: str) -> None:
    found, problems = checked_rule({"name": "n", "kind": "pattern", "patterns": [pattern]})
    for problem in problems:
        assert problem.key != "expected.other"
        for language in LANGUAGES:
            said = Catalog.load().text(language, f"config.{problem.key}", **problem.fields)
            assert "RE2" not in said and "perl" not in said
    assert (found is None) == bool(problems)


def test_a_message_that_is_not_known_has_a_fault_too() -> None:
    assert fault_of("abc", "something new: c").kind == "pattern_other"
    assert re2.error  # the messages above are those of the library that is installed
