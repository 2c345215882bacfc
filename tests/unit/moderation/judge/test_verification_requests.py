"""A request to compare keys is judged like any message, whoever sends it: some clients show its text."""

from dataclasses import replace

import pytest

from moderation.judge.judge import CompiledRule, judge
from moderation.model.facts import Found
from moderation.policy import Policy
from moderation.values.events import Json, MessagePosted, Text
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import ANNA, BOT, MARK, NOON, OPERA, ROOM, context, person

POLICY = Policy.model_validate(
    {
        "operators": [OPERA],
        "rules": [{"name": "t", "kind": "terms", "class": "minor", "terms": ["to verify"], "text": {"en": "x"}}],
    }
)
RULES = tuple(map(CompiledRule.of, POLICY.rules))


def request(sender: UserId, to: str) -> MessagePosted:
    content: dict[str, Json] = {"msgtype": "m.key.verification.request", "body": "asks to verify", "to": to}
    return MessagePosted(
        room=ROOM,
        event=EventId("$request"),
        sender=sender,
        sent_ms=NOON,
        received_ms=NOON,
        type="m.room.message",
        content=content,
        texts=(Text("body", "asks to verify"),),
    )


@pytest.mark.parametrize(("sender", "to"), [(MARK, BOT), (OPERA, BOT), (ANNA, BOT), (MARK, ANNA)])
def test_a_verification_request_is_judged_for_every_sender(sender: UserId, to: str) -> None:
    who = person(sender, manages=frozenset({ROOM} if sender == MARK else ()))
    facts = judge(request(sender, to), context(who), POLICY, RULES, 1)
    assert any(isinstance(fact, Found) for fact in facts)


def test_nothing_else_asks_to_verify() -> None:
    event = request(ANNA, BOT)
    assert event.asks_to_verify == BOT
    assert replace(event, content={"msgtype": "m.text", "body": "x", "to": BOT}).asks_to_verify == ""
    assert replace(event, content={"msgtype": "m.key.verification.request", "to": 1}).asks_to_verify == ""
