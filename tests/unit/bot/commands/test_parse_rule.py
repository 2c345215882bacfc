"""A rule written in chat becomes the table of a configuration, or is refused with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.parse_rule import written
from bot.config.checks import checked_rule
from moderation.values.errors import Refused


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('ads terms "buy now"', {"name": "ads", "kind": "terms", "terms": ["buy now"]}),
        (
            "Ads TERMS “buy now”, „billig“ «cher» 「便宜」 Serious mute 2h manager",
            {
                "name": "ads",
                "kind": "terms",
                "terms": ["buy now", "billig", "cher", "便宜"],
                "class": "serious",
                "measure": "mute",
                "mute_for": "2h",
                "decide": "manager",
            },
        ),
        ("it terms \"don't\" 'o'clock'", {"name": "it", "kind": "terms", "terms": ["don't", "o'clock"]}),
        ('ads terms "minor" minor', {"name": "ads", "kind": "terms", "terms": ["minor"], "class": "minor"}),
        (r'num pattern "\b[0-9]{9}\b"', {"name": "num", "kind": "pattern", "patterns": [r"\b[0-9]{9}\b"]}),
        (
            'out links deny example.org "xn--bcher-kva.example" allow docs.example.org none',
            {
                "name": "out",
                "kind": "links",
                "deny": ["example.org", "xn--bcher-kva.example"],
                "allow": ["docs.example.org"],
                "measure": "none",
            },
        ),
        ("all links *", {"name": "all", "kind": "links", "deny": ["*"]}),
    ],
)
def test_a_written_rule_becomes_a_table(text: str, rule: dict[str, Any]) -> None:
    assert written(text) == rule
    found, problems = checked_rule(rule)
    assert (found is not None, problems) == (True, ())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "error.rule.name"),
        ('"ads" terms "x"', "error.rule.name"),
        ("ads", "error.rule.kind"),
        ("ads flood 10", "error.rule.kind"),
        ('ads terms "x" modrate', "error.rule.near-word"),
        ("ads terms viagra", "error.rule.word-terms"),
        ("ads links example", "error.rule.word-links"),
        ("ads pattern [a-z]+", "error.rule.word-pattern"),
        ('ads terms "x', "error.rule.quote"),
        ('ads terms "x" 2h', "error.rule.word-terms"),
    ],
)
def test_an_error_is_reported_and_not_taken_for_a_term(text: str, key: str) -> None:
    with pytest.raises(Refused) as refused:
        written(text)
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ({"name": "ads", "kind": "terms"}, ["missing"]),
        ({"name": "Ä", "kind": "terms", "terms": ["x"]}, ["expected.rule_name"]),
        ({"name": "x" * 41, "kind": "terms", "terms": ["  "]}, ["expected.other", "expected.rule_name"]),
        ({"name": "n", "kind": "pattern", "patterns": ["("]}, ["expected.other"]),
        ({"name": "n", "kind": "pattern", "patterns": [r"(a)\1"]}, ["expected.other"]),
        ({"name": "n", "kind": "links"}, ["expected.other"]),
        ({"name": "n", "kind": "links", "deny": ["https://example.org/x"]}, ["expected.other"]),
        ({"name": "n", "kind": "terms", "terms": ["x"], "mute_for": "9999999d"}, ["expected.duration"]),
    ],
)
def test_it_is_checked_as_a_rule_of_the_configuration_is(rule: dict[str, Any], keys: list[str]) -> None:
    found, problems = checked_rule(rule)
    assert (found, [each.key for each in problems]) == (None, keys)


@given(st.text(max_size=200))
def test_any_text_gives_a_table_or_a_refusal(text: str) -> None:
    try:
        rule = written(text)
    except Refused:
        return
    checked_rule(rule)
