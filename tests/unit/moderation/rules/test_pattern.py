"""Patterns match correctly, and cannot hang, fail late or write to stderr."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.rules.check import Hit, View
from moderation.rules.pattern import Pattern, PatternSettings
from moderation.values.events import Text
from tests.unit.moderation.rules.posting import posted


def rule(*patterns: str, **options: object) -> Pattern:
    return Pattern(PatternSettings.model_validate({"patterns": patterns, **options}))


def matched(compiled: Pattern, body: str) -> str | None:
    hit = compiled.check(posted(body), View())
    return hit.matched if hit else None


def test_the_piece_that_matched_is_quoted() -> None:
    compiled = rule(r"\+?\d{11}", "call me")
    assert compiled.check(posted("电话 13800138000。"), View()) == Hit(where="body", matched="13800138000")
    assert compiled.check(posted("nothing"), View()) is None


def test_case_is_ignored_unless_it_matters() -> None:
    assert matched(rule("call me"), "CALL me") == "CALL me"
    assert matched(rule("call me", ignore_case=False), "CALL me") is None


def test_disguises_are_undone_only_when_asked() -> None:
    body = "саll\u200b １２３ now"
    assert matched(rule(r"call \d+"), body) is None
    assert matched(rule(r"call \d+", normalise=True), body) == "саll\u200b １２３"


def test_only_the_places_asked_for_are_read() -> None:
    event = posted("fine", Text("topic", "bad"))
    settings = PatternSettings(patterns=("bad",))
    assert Pattern(settings).check(event, View()) == Hit(where="topic", matched="bad")
    assert Pattern(settings, frozenset({"body"})).check(event, View()) is None


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?=look)", r"(a)\1", "[z-a]", "(a{1000}){1000}", "\ud800"])
def test_a_bad_pattern_is_named_with_the_reason(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValidationError) as error:
        PatternSettings.model_validate({"patterns": ["fine", pattern]})
    assert repr(pattern) in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_pattern_that_is_too_large_only_when_case_is_ignored_is_named_too() -> None:
    pattern = "k{1000}" * 75
    assert PatternSettings(patterns=(pattern,), ignore_case=False)
    with pytest.raises(ValidationError) as error:
        PatternSettings.model_validate({"patterns": [pattern]})
    assert [each["type"] for each in error.value.errors()] == ["pattern_large"]


@pytest.mark.parametrize("pattern", ["a*", "x?", "", "(?:)"])
def test_a_pattern_that_matches_everything_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        PatternSettings.model_validate({"patterns": [pattern]})


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)x$", "(?:a?){30}a{30}"])
def test_patterns_that_hang_elsewhere_do_not_hang_here(pattern: str) -> None:
    matched(rule(pattern + "z"), "a" * 65_536)


def test_five_hundred_patterns_are_tried_at_once() -> None:
    compiled = rule(*(rf"\bword{number}s?\b" for number in range(500)))
    assert matched(compiled, "see Word499s there") == "Word499s"
    assert matched(compiled, "see word500 there") is None


@pytest.mark.long
def test_patterns_too_large_together_are_still_all_tried() -> None:
    compiled = rule(*(rf"[^x]{{0,900}}{number}z" for number in range(200)))
    assert matched(compiled, "aaa199z") == "aaa199z"


@given(st.text(st.characters(), max_size=80), st.booleans())
def test_no_text_fails_and_what_matched_is_in_it(body: str, normalise: bool) -> None:
    quote = matched(rule(r"\S\s?\S", normalise=normalise), body)
    assert quote is None or quote in body
