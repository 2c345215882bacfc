"""Each kind of rule is found, becomes a check, and says how far back it counts."""

import pytest

from moderation.policy import Policy
from moderation.rules.check import Hit, View
from moderation.rules.registry import KINDS
from tests.unit.moderation.rules.posting import posted

RULES: list[dict[str, object]] = [
    {"kind": "terms", "name": "words", "terms": ["bad"], "except": ["badminton"], "where": ["body"]},
    {"kind": "pattern", "name": "numbers", "patterns": [r"\d{11}"]},
    {"kind": "links", "name": "links", "deny": ["evil.com"]},
    {"kind": "flood", "name": "flood", "messages": 1, "within": "1m"},
    {"kind": "mentions", "name": "mentions", "limit": 0},
    {"kind": "media", "name": "media", "kinds": []},
]


def policy(*rules: object) -> Policy:
    return Policy.model_validate({"rules": rules})


def test_every_file_that_defines_a_kind_is_found() -> None:
    assert {rule["kind"] for rule in RULES} <= set(KINDS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["kind"])
def test_an_ordinary_message_breaks_no_rule(rule: object) -> None:
    check = policy(rule).rules[0].compiled()
    assert check.check(posted("we play badminton", at=5), View((5,))) is None


def test_the_places_of_a_rule_reach_its_check() -> None:
    check = policy({**RULES[0], "where": ["caption"]}).rules[0].compiled()
    assert check.check(posted("bad"), View()) is None
    assert policy(RULES[0]).rules[0].compiled().check(posted("bad"), View()) == Hit("body", "bad")


def test_a_policy_reads_back_as_it_was_recorded() -> None:
    once = policy(*RULES)
    assert Policy.model_validate_json(once.model_dump_json(by_alias=True)) == once
    assert Policy.model_validate_json(once.model_dump_json()) == once


def test_a_rule_that_counts_says_how_far_back() -> None:
    assert [rule.window_ms() for rule in policy(*RULES).rules] == [0, 0, 0, 60_000, 0, 0]


def test_a_policy_is_recorded_as_it_always_was() -> None:
    """The order of a rule's settings belongs to the record: another would be recorded as a change of the policy."""
    (rule,) = policy({"kind": "flood", "name": "calm"}).rules
    general = ["name", "class", "measure", "mute_for", "decide", "interim", "rooms", "where", "text"]
    general += ["unless", "dry_run", "ban_for"]
    assert list(rule.model_dump(by_alias=True)) == ["messages", "within", "of", *general, "kind"]
