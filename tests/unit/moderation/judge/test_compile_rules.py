"""Each kind of rule in a policy becomes a check, and the longest window is known."""

import typing

import pytest

from moderation.judge.compile_rules import KINDS, compile_rule, longest_window_ms
from moderation.policy import Policy, RuleSettings
from moderation.rules.check import Hit, View
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


def test_every_kind_of_the_policy_can_be_compiled() -> None:
    members = typing.get_args(typing.get_args(RuleSettings)[0])
    kinds = {typing.get_args(member.model_fields["kind"].annotation)[0] for member in members}
    assert set(KINDS) == kinds


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["kind"])
def test_an_ordinary_message_breaks_no_rule(rule: object) -> None:
    check = compile_rule(policy(rule).rules[0])
    assert check.check(posted("we play badminton", at=5), View((5,))) is None


def test_the_places_of_a_rule_reach_its_check() -> None:
    check = compile_rule(policy({**RULES[0], "where": ["caption"]}).rules[0])
    assert check.check(posted("bad"), View()) is None
    assert compile_rule(policy(RULES[0]).rules[0]).check(posted("bad"), View()) == Hit("body", "bad")


def test_a_policy_reads_back_as_it_was_recorded() -> None:
    once = policy(*RULES)
    assert Policy.model_validate_json(once.model_dump_json(by_alias=True)) == once
    assert Policy.model_validate_json(once.model_dump_json()) == once


def test_the_longest_window_is_that_of_the_slowest_flood_rule() -> None:
    slow = {"kind": "flood", "name": "slow", "messages": 100, "within": "1h"}
    assert longest_window_ms(policy(*RULES, slow).rules) == 3_600_000
    assert longest_window_ms(policy(*RULES[:3]).rules) == 0
