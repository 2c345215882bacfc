"""The words for somebody whose message was refused: by rule and language, and never what was matched."""

import pytest

from bot.texts.beforehand import refused_words
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.judge.beforehand import Refusal
from moderation.policy import Policy, RuleBase

RULE = RuleBase.model_construct(name="elephants", text={"en": "No elephants.", "zh": "不谈大象。"})
POLICY = Policy()
CATALOG = Catalog.load()


def words(refusal: Refusal, language: str = "", rules: tuple[RuleBase, ...] = (RULE,), recorded: bool = True) -> str:
    return refused_words(CATALOG, Speech(CATALOG, POLICY, "en"), refusal, language, rules, recorded=recorded)


@pytest.mark.parametrize(
    ("language", "said"),
    (
        ("", "Not delivered, nobody has seen it. The rule: “No elephants”. A message about this follows."),
        ("en", "Not delivered, nobody has seen it. The rule: “No elephants”. A message about this follows."),
        ("zh", "未送达，没有人看到这条消息。规则：“不谈大象”。稍后会有消息向您说明。"),
    ),
)
def test_the_rule_is_said_in_the_language_of_the_room(language: str, said: str) -> None:
    assert words(Refusal("elephants", matched="a purple elephant"), language) == said


def test_no_message_is_announced_where_none_follows() -> None:
    said = words(Refusal("unverified"))
    assert said.startswith("Not delivered, nobody has seen it. ")
    assert "follows" not in said
    without_record = words(Refusal("elephants"), recorded=False)
    assert without_record == "Not delivered, nobody has seen it. The rule: “No elephants”."
    assert words(Refusal("elephants"), "zh", recorded=False) == "未送达，没有人看到这条消息。规则：“不谈大象”。"
