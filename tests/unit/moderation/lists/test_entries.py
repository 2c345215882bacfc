"""The entries of a list as its room's state has them: every known form, and whatever a stranger may write."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.lists.entries import LONGEST_REASON, read_entries

HASH = base64.b64encode(hashlib.sha256(b"@bad:example.org").digest()).decode()


def event(type: str, content: Any, key: str = "k", sender: Any = "@mod:lists.example") -> dict[str, Any]:
    return {
        "type": type,
        "state_key": key,
        "sender": sender,
        "event_id": "$1",
        "origin_server_ts": 5,
        "content": content,
    }


BAN = {"entity": "@bad:example.org", "recommendation": "m.ban", "reason": "spam"}


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("m.policy.rule.user", "user"),
        ("m.policy.rule.server", "server"),
        ("m.policy.rule.room", "room"),
        ("m.room.rule.user", "user"),
        ("org.matrix.mjolnir.rule.server", "server"),
    ],
)
def test_each_type_is_read(type: str, kind: str) -> None:
    (entry,) = read_entries([event(type, BAN)])
    assert (entry.kind, entry.entity, entry.advice, entry.reason) == (kind, "@bad:example.org", "ban", "spam")


@pytest.mark.parametrize(
    ("recommendation", "advice"),
    [
        ("m.ban", "ban"),
        ("org.matrix.mjolnir.ban", "ban"),
        ("m.takedown", "takedown"),
        ("org.matrix.msc4204.takedown", "takedown"),
        ("org.matrix.mjolnir.allow", "allow"),
        ("m.unban", "allow"),
        ("m.mute", "unknown"),
    ],
)
def test_each_recommendation_is_read(recommendation: str, advice: str) -> None:
    (entry,) = read_entries([event("m.policy.rule.user", {**BAN, "recommendation": recommendation})])
    assert (entry.advice, entry.recommendation) == (advice, recommendation)


@pytest.mark.parametrize("name", ["hashes", "org.matrix.msc4205.hashes"])
@pytest.mark.parametrize("given", [HASH, HASH.rstrip("=")])
def test_a_hashed_entity_is_read(name: str, given: str) -> None:
    (entry,) = read_entries([event("m.policy.rule.user", {name: {"sha256": given}, "recommendation": "m.ban"})])
    assert (entry.entity, entry.digest) == ("", HASH)


def test_the_newest_type_counts_for_a_state_key() -> None:
    old, new = event("org.matrix.mjolnir.rule.user", BAN), event("m.policy.rule.user", {})
    other = event("org.matrix.mjolnir.rule.user", BAN, key="other")
    assert [entry.key for entry in read_entries([new, old, other])] == ["other"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        None,
        {"entity": "@bad:example.org"},
        {"recommendation": "m.ban"},
        {**BAN, "entity": 3},
        {**BAN, "entity": ""},
        {**BAN, "entity": "x" * 256},
        {**BAN, "entity": "*a" * 9},
        {**BAN, "entity": "\ud800"},
        {**BAN, "recommendation": 3},
        {"hashes": {"sha256": "nonsense"}, "recommendation": "m.ban"},
        {"hashes": {"sha256": "AAAA"}, "recommendation": "m.ban"},
        {"hashes": {"sha256": "\ud800"}, "recommendation": "m.ban"},
        {"hashes": 3, "recommendation": "m.ban"},
    ],
)
def test_what_is_no_entry_is_left_out(content: Any) -> None:
    assert read_entries([event("m.policy.rule.user", content)]) == ()


def test_long_reasons_are_cut() -> None:
    (entry,) = read_entries([event("m.policy.rule.user", {**BAN, "reason": "x" * 65_000})])
    assert len(entry.reason) == LONGEST_REASON


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_nothing_raises(entity: Any, recommendation: Any, hashes: Any, sender: Any) -> None:
    content = {"entity": entity, "recommendation": recommendation, "hashes": hashes, "reason": sender}
    for each in (content, entity):
        read_entries([event("m.policy.rule.user", each, sender=sender), {"type": "m.policy.rule.user"}])
