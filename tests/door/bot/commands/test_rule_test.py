"""`!rule test` says which rules a text would break, and which rules no text can try."""

import json
from pathlib import Path

from moderation.values.notices import Line, RuleText, lines_from_json
from tests.door.offline import ANNA, DESK, MARK, MINA, OLGA, RULES, offline

MORE = """
[[rules]]
name = "calm"
kind = "flood"
[[rules]]
name = "crowd"
kind = "mentions"
limit = 2
"""


async def test_rule_test_names_rules_that_no_text_can_break(tmp_path: Path) -> None:
    async with offline(tmp_path, RULES + MORE) as bot:
        await bot.say(MARK, f"!rule test forbidden, {OLGA} {MINA} {ANNA}", DESK)
        (answer,) = await bot.rows("SELECT action FROM outbox WHERE action LIKE '%room-rule.test%'")
        said = [(each.key, name(each)) for each in lines_from_json(json.loads(answer[0])["lines"])]
    assert said == [
        ("room-rule.test", ""),
        ("room-rule.hit", "tickets"),
        ("room-rule.hit", "crowd"),
        ("room-rule.untried", "calm"),
        ("room-rule.test-foot", ""),
    ]


def name(said: Line) -> str:
    """Return the rule that a line names."""
    rule = said.fields.get("rule")
    return rule.rule if isinstance(rule, RuleText) else ""
