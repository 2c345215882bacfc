"""A room's own rules apply in addition to the operator's, under names of their own and within its limits."""

from dataclasses import replace

from moderation.judge.judge import judge
from moderation.judge.room_rules import compiled, own_rules, recorded, settings_of, with_own
from moderation.model.facts import CaseOpened, Found
from moderation.policy import Policy, RuleSettings
from tests.unit.moderation.builders import compiled as of_the_operator
from tests.unit.moderation.builders import context, policy, room, said, terms


def text(name: str, *words: str, **settings: object) -> str:
    return recorded(rule(name, *words, **settings))


def rule(name: str, *words: str, **settings: object) -> RuleSettings:
    return policy(terms(name, *words, **settings)).rules[0]


def test_room_rules_apply_after_operator_rules() -> None:
    """However grave a room's own rule calls itself, the case is about the operator's."""
    there = policy(terms("spam"))
    texts = (text("ads", "buy now", **{"class": "moderate"}),)
    here = replace(room(), rules=texts)
    facts = judge(
        said("spam: buy now"), context(here=here), there, (*of_the_operator(there), *compiled(here.rules, there)), 7
    )
    assert [fact.rule for fact in facts if isinstance(fact, Found)] == ["spam", "ads"]
    assert [fact.rule for fact in facts if isinstance(fact, CaseOpened)] == ["spam"]
    assert [each.name for each in with_own(there, texts).rules] == ["spam", "ads"]


def test_the_operators_rule_of_the_same_name_holds_instead() -> None:
    assert own_rules((text("spam"), text("ads")), policy(terms("spam"))) == (rule("ads"),)


def test_no_room_rule_exceeds_the_class_allowed_now() -> None:
    texts = (text("ads", **{"class": "severe"}), text("talk", **{"class": "minor"}))
    assert [each.grade for each in own_rules(texts, Policy())] == ["moderate", "minor"]
    wider = Policy.model_validate({"groups": {"own_rules_class": "severe"}})
    assert [each.grade for each in own_rules(texts, wider)] == ["severe", "minor"]


def test_without_permission_room_rules_are_ignored() -> None:
    strict = Policy.model_validate({"groups": {"own_rules": 0}})
    assert own_rules((text("ads"),), strict) == ()
    assert with_own(strict, (text("ads"),)) is strict


def test_a_recorded_room_rule_is_read_back_unchanged() -> None:
    for each in policy(
        terms("ads", "buy now", measure="mute", mute_for="2h", **{"except": ["buy now and then"]}),
        {"name": "out", "kind": "links", "deny": ["example.org"]},
        {"name": "num", "kind": "pattern", "patterns": [r"\d{9}"], "decide": "manager"},
    ).rules:
        assert settings_of(recorded(each)) == each
