"""A rule written in chat becomes the table of a configuration, or is refused with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.parse_rule import written
from bot.config.rule_checks import checked_rule
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
        (
            "calm flood messages 5 within 10s mute mute 1h",
            {"name": "calm", "kind": "flood", "messages": 5, "within": "10s", "measure": "mute", "mute_for": "1h"},
        ),
        ("few mentions limit 3 room deny", {"name": "few", "kind": "mentions", "limit": 3, "room": "deny"}),
        (
            "pics media kinds image sticker max-size 5MB mimetypes image/*, text/plain",
            {
                "name": "pics",
                "kind": "media",
                "kinds": ["image", "sticker"],
                "max_size": "5MB",
                "mimetypes": ["image/*", "text/plain"],
            },
        ),
        ("text-only media nothing", {"name": "text-only", "kind": "media", "kinds": []}),
        (
            "short shape max_length 500 max-lines 9",
            {"name": "short", "kind": "shape", "max_length": 500, "max_lines": 9},
        ),
        (
            'ads terms "x" unless verified 2 Unless in-room-for 30d unless messages 50 minor',
            {
                "name": "ads",
                "kind": "terms",
                "terms": ["x"],
                "unless": {"verified": 2, "in_room_for": "30d", "messages": 50},
                "class": "minor",
            },
        ),
        (
            'ads links deny ads.example unless users "@_irc_*:example.org" 除非 users @ann:example.org',
            {
                "name": "ads",
                "kind": "links",
                "deny": ["ads.example"],
                "unless": {"users": ["@_irc_*:example.org", "@ann:example.org"]},
            },
        ),
        (
            'ads terms "x" text “Please  do not\nadvertise.” minor',
            {
                "name": "ads",
                "kind": "terms",
                "terms": ["x"],
                "text": {"en": "Please do not advertise."},
                "class": "minor",
            },
        ),
    ],
)
def test_a_written_rule_becomes_a_table(text: str, rule: dict[str, Any]) -> None:
    assert written(text, "en") == rule
    found, problems = checked_rule(rule)
    assert (found is not None, problems) == (True, ())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "error.rule.name"),
        ('"ads" terms "x"', "error.rule.name"),
        ("ads", "error.rule.kind"),
        ("ads floods 10", "error.rule.kind"),
        ("ads flood 10", "error.rule.word-flood"),
        ("ads flood messages", "error.rule.value"),
        ('ads flood "10"', "error.rule.no-quotes"),
        ("ads flood mesages 10", "error.rule.near-word"),
        ("ads mentions limits", "error.rule.near-word"),
        ("ads media picture", "error.rule.word-media"),
        ("ads shape 10", "error.rule.word-shape"),
        ('ads terms "x" text', "error.rule.text"),
        ('ads terms "x" text please', "error.rule.text"),
        ('ads terms "x" text " "', "error.rule.text"),
        (f'ads terms "x" text "{"y" * 201}"', "error.rule.text-long"),
        ('ads terms "x" modrate', "error.rule.near-word"),
        ("ads terms viagra", "error.rule.word-terms"),
        ("ads links example", "error.rule.word-links"),
        ("ads pattern [a-z]+", "error.rule.word-pattern"),
        ('ads terms "x', "error.rule.quote"),
        ('ads terms "x" unless', "error.rule.unless"),
        ('ads terms "x" unless minor', "error.rule.unless"),
        ('ads terms "x" unless verified', "error.rule.value"),
        ('ads terms "x" 2h', "error.rule.word-terms"),
    ],
)
def test_an_error_is_reported_and_not_taken_for_a_term(text: str, key: str) -> None:
    with pytest.raises(Refused) as refused:
        written(text, "en")
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ({"name": "ads", "kind": "terms"}, ["missing"]),
        ({"name": "Ä", "kind": "terms", "terms": ["x"]}, ["expected.rule_name"]),
        ({"name": "x" * 41, "kind": "terms", "terms": ["  "]}, ["expected.term", "expected.rule_name"]),
        ({"name": "n", "kind": "pattern", "patterns": ["("]}, ["expected.pattern_group_open"]),
        ({"name": "n", "kind": "pattern", "patterns": [r"(a)\1"]}, ["expected.pattern_back_reference"]),
        ({"name": "n", "kind": "pattern", "patterns": ["a*"]}, ["expected.pattern_empty"]),
        ({"name": "n", "kind": "links"}, ["expected.links_nothing"]),
        ({"name": "n", "kind": "links", "deny": ["https://example.org/x"]}, ["expected.domain"]),
        ({"name": "n", "kind": "flood", "messages": 5000}, ["expected.at_most"]),
        ({"name": "n", "kind": "flood", "messages": 5, "within": 10}, ["expected.duration"]),  # of what?
        ({"name": "n", "kind": "media", "max_size": "big"}, ["expected.size"]),
        ({"name": "n", "kind": "media", "mimetypes": ["pictures"]}, ["expected.media_type"]),
        ({"name": "n", "kind": "shape"}, ["expected.shape_nothing"]),
        *(
            ({"name": "n", "kind": "terms", "terms": ["x"], "unless": unless}, [key])
            for unless, key in (
                ({"users": ["@_irc_*"]}, "expected.people"),
                ({"users": ["@_irc_*:*"]}, "expected.people"),
                ({"users": ["ann:example.org"]}, "expected.people"),
                ({"verified": 4}, "expected.at_most"),
                ({"messages": 0}, "expected.at_least"),
                ({"messages": "some"}, "expected.number"),
                ({"in_room_for": "long"}, "expected.duration"),
                ({"in_room_for": 30}, "expected.duration"),
                ({"level": 2}, "unknown.none"),
            )
        ),
        ({"name": "n", "kind": "terms", "terms": ["x"], "mute_for": "9999999d"}, ["expected.duration"]),
    ],
)
def test_it_is_checked_as_a_rule_of_the_configuration_is(rule: dict[str, Any], keys: list[str]) -> None:
    found, problems = checked_rule(rule)
    assert (found, [each.key for each in problems]) == (None, keys)


@given(st.text(max_size=200))
def test_any_text_gives_a_table_or_a_refusal(text: str) -> None:
    try:
        rule = written(text, "en")
    except Refused:
        return
    checked_rule(rule)
