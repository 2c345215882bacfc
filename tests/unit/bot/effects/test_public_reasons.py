"""The public reason next to a removal."""

from typing import Any

import pytest

from bot.effects.public_reasons import GroundShown, PublicReasons
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from tests.unit.moderation.builders import MARK, OPERA, policy, terms

POLICY = policy(terms("no-insults"))


def reasons(shown: Any) -> PublicReasons:
    return PublicReasons(Speech(Catalog.load(), POLICY, "en"), POLICY, shown)


@pytest.mark.parametrize(
    ("ground", "neutral", "rule"),
    [
        (GroundShown(12, "-", MARK), "By the managers, case 12.", "By the managers, case 12."),
        (GroundShown(12, "-", OPERA), "By the operator, case 12.", "By the operator, case 12."),
        (GroundShown(12, "no-insults"), "By moderation, case 12.", "Rule no-insults, case 12."),
        (GroundShown(12, "no-insults", MARK), "By the managers, case 12.", "Rule no-insults, case 12."),
        (GroundShown(12, "unverified_writes"), "By moderation, case 12.", "By moderation, case 12."),
        (GroundShown(0), None, None),
    ],
)
def test_of_a_kick_or_ban_it_is_the_case_and_at_most_the_name_of_the_rule(
    ground: GroundShown, neutral: str | None, rule: str | None
) -> None:
    assert reasons("neutral").of_person(ground, "en") == neutral
    assert reasons("rule").of_person(ground, "en") == rule
    assert reasons("none").of_person(ground, "en") is None


def test_it_is_in_the_language_of_the_room() -> None:
    assert reasons("neutral").of_person(GroundShown(12, "-", MARK), "zh") == "由管理员处理，个案 12。"


def test_of_a_message_it_is_a_plain_word_or_the_name_of_the_rule() -> None:
    shown = [reasons(how).of_message("no-insults", "en") for how in ("neutral", "rule", "none")]
    assert shown == ["Removed by moderation.", "no-insults", None]
    assert reasons("rule").of_message("-", "en") is None
