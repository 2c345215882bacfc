"""Known disguises and what must be found in them: the table in `disguises.jsonl`, one event a line.

Each raw event is parsed and judged by the rules. Disguises that are not found yet have no line; lines stay for ever.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bot.events.parse_event import receive
from moderation.judge.judge import CompiledRule, judge
from moderation.model.facts import Found
from moderation.policy import Policy
from tests.unit.moderation.builders import ANNA, NOON, ROOM, context

TABLE = Path(__file__).with_name("disguises.jsonl")
ROWS = [json.loads(line) for line in TABLE.read_text(encoding="utf-8").splitlines()]
LEAST = 150
CLASSES = {
    "Braille",
    "HTML",
    "cut",
    "edit",
    "invisible",
    "link",
    "look-alike",
    "mention",
    "order",
    "place",
    "quotation",
    "stretched",
    "turned",
}
POLICY = Policy.model_validate(
    {
        "rules": [
            {
                "name": "words",
                "kind": "terms",
                "terms": ["forbidden", "casino", "buy now", "赌博网站", "ممنوعة"],
                "spaced": True,
            },
            {"name": "links", "kind": "links", "deny": ["evil.com"]},
            {"name": "mentions", "kind": "mentions", "limit": 2, "room": "deny"},
        ]
    }
)
RULES = tuple(map(CompiledRule.of, POLICY.rules))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['class']}: {row['name']}" for row in ROWS])
def test_disguised_terms_are_found_as_the_table_says(row: dict[str, Any]) -> None:
    if "behind" in row:  # a text so often, which would make the table long
        text, times = row["behind"]
        row["content"]["body"] = text * times + row["content"]["body"]
    raw = {"event_id": "$e", "sender": ANNA, "origin_server_ts": NOON, "type": row["type"], "content": row["content"]}
    if "state_key" in row:
        raw["state_key"] = row["state_key"]
    facts = judge(receive(raw, ROOM, NOON), context(ANNA), POLICY, RULES, 1)
    assert [fact.rule for fact in facts if isinstance(fact, Found)] == row["found"]


def test_the_table_is_as_large_as_we_say_and_each_line_is_another() -> None:
    assert len(ROWS) >= LEAST
    assert {row["class"] for row in ROWS} == CLASSES
    assert max(Counter((row["class"], row["name"]) for row in ROWS).values()) == 1
