"""The check of a rule written in chat, like one in `config.toml`: the same demands, the same words.

Left to others: reading what was written (`bot/commands/parse_rule.py`), who may write rules and how many.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from moderation.policy import RuleSettings, StrictSettings

from .checks import rule_problems
from .errors import ConfigProblem, explain


class _Rules(StrictSettings):
    rules: tuple[RuleSettings, ...]


def checked(rule: Mapping[str, Any]) -> tuple[RuleSettings | None, tuple[ConfigProblem, ...]]:
    """Return the rule, or what is wrong with it; `rule` as it would stand in `[[rules]]`."""
    data = {"rules": [dict(rule)]}
    problems: list[ConfigProblem] = []
    found: RuleSettings | None = None
    try:
        (found,) = _Rules.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False).rules
    except ValidationError as error:
        problems += explain(_Rules, error, data)
    problems += rule_problems(data)
    return (None if problems else found), tuple(problems)
